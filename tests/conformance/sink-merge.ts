import { expect, test } from 'vitest';
import type { PlainRecord } from '../../broker/records.ts';
import type { TestChange } from '../support/changes.ts';
import { create, remove, truncate, update } from './sink-orders.ts';
import { SIGNAL, SinkUnderTest, type SinkFactory } from './sink-under-test.ts';

const partial = (version: number, id: number): TestChange => ({
  op: 'u',
  version,
  after: { id, a: null, b: BigInt(version) },
  unchanged: ['a'],
});

const at = (version: bigint, a: string): TestChange => ({
  op: 'u',
  version,
  after: { id: 1, a, b: 0n },
});

const line = (version: number, order: string, no: number): TestChange => ({
  op: 'u',
  version,
  after: { 'Order "Id"': order, 'line no': no, select: `v${version}` },
});

export function sinkMerge(factory: SinkFactory): void {
  test('the newest row of each key is in the table with its version', async () => {
    await using under = await SinkUnderTest.open(factory);
    const written = await under.write([create(1, 1), create(2, 2), update(3, 1), create(4, 3)]);
    expect(written).toMatchObject({ changes: 4, rows: 3 });
    await under.write([update(5, 2), remove(6, 3)]);
    expect(await under.rows('id', 'a', 'b', '_version')).toEqual([
      ['1', 'a3', '3', '3'],
      ['2', 'a5', '5', '5'],
    ]);
  });

  test('the newest commit time of a write is told', async () => {
    await using under = await SinkUnderTest.open(factory);
    const written = await under.write([
      { ...create(1, 1), committedAt: 1000 },
      { ...create(2, 2), committedAt: 3000 },
    ]);
    expect(written.committedAt).toBe(3000);
  });

  test('a row that was deleted in the same batch it came with is not there', async () => {
    await using under = await SinkUnderTest.open(factory);
    await under.write([create(1, 1), remove(2, 1), create(3, 2)]);
    expect(await under.rows('id')).toEqual([['2']]);
  });

  test('a soft delete keeps the values and marks the row', async () => {
    await using under = await SinkUnderTest.open(factory, { delete: 'soft' });
    await under.write([create(1, 1), create(2, 2)]);
    await under.write([remove(3, 1)]);
    expect(await under.rows('id', 'a', '_deleted', '_version')).toEqual([
      ['1', 'a1', 'true', '3'],
      ['2', 'a2', 'false', '2'],
    ]);
    await under.write([create(4, 1)]);
    expect(await under.rows('id', 'a', '_deleted')).toEqual([
      ['1', 'a4', 'false'],
      ['2', 'a2', 'false'],
    ]);
  });

  test('an older upsert that comes after the delete does not bring the row back', async () => {
    await using under = await SinkUnderTest.open(factory);
    await under.write([create(1, 1), create(2, 2)]);
    await under.write([remove(5, 1)]);
    await under.write([update(4, 1), update(3, 2)]);
    expect(await under.rows('id', 'a')).toEqual([['2', 'a3']]);
    await under.reopen();
    await under.write([update(4, 1)]);
    expect(await under.rows('id', 'a')).toEqual([['2', 'a3']]);
  });

  test('a column that was not sent keeps the stored value, or the one earlier in the batch', async () => {
    await using under = await SinkUnderTest.open(factory);
    await under.write([create(1, 1), create(2, 2), partial(3, 2)]);
    await under.write([partial(4, 1), update(5, 2, 'new'), partial(6, 2), partial(7, 2)]);
    expect(await under.rows('id', 'a', 'b')).toEqual([
      ['1', 'a1', '4'],
      ['2', 'new', '7'],
    ]);
  });

  test('a truncate deletes what is older, from every partition and however late it comes', async () => {
    await using under = await SinkUnderTest.open(factory, { partitions: 2 });
    await under.write([create(1, 1), create(2, 2)], 0);
    await under.write([create(3, 3)], 1);
    await under.write([truncate(5), create(6, 1)], 0);
    expect(await under.rows('id', '_version')).toEqual([['1', '6']]);
    await under.write([create(4, 4), truncate(5), create(7, 5)], 1);
    expect(await under.rows('id', '_version')).toEqual([
      ['1', '6'],
      ['5', '7'],
    ]);
    await under.reopen();
    await under.write([create(3, 9)], 0);
    expect(await under.rows('id')).toEqual([['1'], ['5']]);
  });

  test('a truncate before the first row is remembered', async () => {
    await using under = await SinkUnderTest.open(factory);
    expect(await under.write([truncate(5)])).toMatchObject({ changes: 1, rows: 0 });
    await under.reopen();
    await under.write([create(4, 1), create(6, 2)]);
    expect(await under.rows('id')).toEqual([['2']]);
  });

  test('versions of all 64 bits are compared as signed numbers', async () => {
    await using under = await SinkUnderTest.open(factory);
    await under.write([at(-5n, 'minus five')]);
    await under.write([at(0xffff_ffffn, 'one word'), at(-9n, 'older')]);
    await under.write([at(0x1_0000_0000n, 'two words')]);
    await under.write([at(0x7fff_ffff_ffff_ffffn, 'last'), at(5n, 'older')]);
    expect(await under.rows('a', '_version')).toEqual([['last', '9223372036854775807']]);
  });

  test('keys of several columns and names that need quoting are kept apart', async () => {
    const shape = {
      topic: 'shop.public.orders',
      key: ['Order "Id"', 'line no'],
      columns: [
        { name: 'Order "Id"', type: { kind: 'string' }, optional: false },
        { name: 'line no', type: { kind: 'int16' }, optional: false },
        { name: 'select', type: { kind: 'string' }, optional: true },
      ],
    } as const;
    await using under = await SinkUnderTest.open(factory, { shape });
    await under.write([line(1, 'x', 1), line(2, 'x', 2), line(3, "o'x", 1), line(4, 'x', 1)]);
    await under.write([
      { ...line(5, 'x', 2), op: 'd', before: null, after: { 'Order "Id"': 'x', 'line no': 2 } },
    ]);
    expect(await under.rows('Order "Id"', 'line no', 'select')).toEqual([
      ["o'x", '1', 'v3'],
      ['x', '1', 'v4'],
    ]);
  });

  test('records without our headers are read like Debezium wrote them, tombstones left out', async () => {
    await using under = await SinkUnderTest.open(factory);
    const bare = ({ version: _version, ...change }: TestChange): PlainRecord =>
      under.orders.record(change);
    const tombstone = { ...bare(create(0, 1)), value: null };
    const first = under.batchOfRecords([
      bare(create(0, 1, 'x')),
      bare(create(0, 2, 'y')),
      bare(update(0, 2, 'z')),
    ]);
    await under.sink.write([first], SIGNAL);
    const { unchanged: _unchanged, ...whole } = remove(0, 1);
    await under.sink.write([under.batchOfRecords([bare(whole), tombstone])], SIGNAL);
    expect(await under.rows('id', 'a')).toEqual([['2', 'z']]);
  });
}
