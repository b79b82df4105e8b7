import { expect, test } from 'vitest';
import { create, truncate, update } from './sink-orders.ts';
import { ordersShape, SIGNAL, SinkUnderTest, type SinkFactory } from './sink-under-test.ts';

export function sinkAppend(factory: SinkFactory): void {
  test('every change is a row with op, version and a unique event id', async () => {
    await using under = await SinkUnderTest.open(factory, { mode: 'append' });
    await under.write([
      create(1, 1),
      update(2, 1),
      { op: 'd', version: 3, before: { id: 1, a: 'a2', b: 2n } },
    ]);
    await under.write([truncate(4)]);
    expect(await under.rows('_version', '_op', 'id', 'a', '_event_id')).toEqual([
      ['1', 'c', '1', 'a1', 'shop.public.orders.changes-0-0'],
      ['2', 'u', '1', 'a2', 'shop.public.orders.changes-0-1'],
      ['3', 'd', '1', 'a2', 'shop.public.orders.changes-0-2'],
      ['4', 't', null, null, 'shop.public.orders.changes-0-3'],
    ]);
  });

  test('a truncate is one row, from however many partitions and however often it comes', async () => {
    await using under = await SinkUnderTest.open(factory, { mode: 'append', partitions: 3 });
    const both = [
      under.batch([create(1, 1), truncate(2), create(3, 2)], 0),
      under.batch([truncate(2)], 1),
    ];
    await under.sink.write(both, SIGNAL);
    await under.write([truncate(4)], 1);
    await under.reopen();
    await under.takeOver(3);
    await under.write([truncate(2), truncate(4)], 2);
    await under.write([truncate(4), create(5, 3), truncate(6)], 0);
    expect(await under.rows('_version', '_op', 'id')).toEqual([
      ['1', 'c', '1'],
      ['2', 't', null],
      ['3', 'c', '2'],
      ['4', 't', null],
      ['5', 'c', '3'],
      ['6', 't', null],
    ]);
  });

  test('truncates whose versions are no more than offsets are all rows', async () => {
    await using under = await SinkUnderTest.open(factory, { mode: 'append', partitions: 2 });
    const after = { id: 1, a: 'a', b: 1n };
    await under.write([{ op: 'c', after }, { op: 't' }], 0);
    await under.write([{ op: 't' }], 1);
    expect(await under.rows('_version', '_op')).toEqual([
      ['0', 'c'],
      ['0', 't'],
      ['1', 't'],
    ]);
  });

  test('a table without a key appends whatever is configured', async () => {
    await using under = await SinkUnderTest.open(factory, { shape: ordersShape([], []) });
    await under.write([create(1, 1), create(2, 1)]);
    await under.reopen();
    await under.write([create(3, 1)]);
    expect(await under.rows('_version', 'id')).toEqual([
      ['1', '1'],
      ['2', '1'],
      ['3', '1'],
    ]);
  });

  test('columns that were not sent are named beside their NULL', async () => {
    await using under = await SinkUnderTest.open(factory, { mode: 'append' });
    const after = { id: 1, a: 'placeholder', b: 2n };
    await under.write([create(1, 1, null), { op: 'u', version: 2, after, unchanged: ['a'] }]);
    expect(await under.rows('_version', 'a', 'b', '_unchanged')).toEqual([
      ['1', null, '1', null],
      ['2', null, '2', '["a"]'],
    ]);
  });
}
