import { expect, test } from 'vitest';
import type { TableShape } from '../../schemas/envelope.ts';
import { TableChangesBuilder, type TestChange } from '../support/changes.ts';
import { create } from './sink-orders.ts';
import { ordersShape, SIGNAL, SinkUnderTest, type SinkFactory } from './sink-under-test.ts';

const wide = (version: number, id: number): TestChange => ({
  op: 'c',
  version,
  after: { id, a: 'wide', b: 0n, c: true },
});

const shapeOf = (kind: 'int32' | 'int64', precision: number): TableShape =>
  ordersShape([
    { name: 'n', type: { kind }, optional: true },
    { name: 'd', type: { kind: 'decimal', precision, scale: precision - 4 }, optional: true },
  ]);

const row = (version: number, id: number, n: bigint | number): TestChange => ({
  op: 'c',
  version,
  after: { id, a: null, b: null, n, d: Buffer.from([id]) },
});

export function sinkSchema(factory: SinkFactory): void {
  test('a new column comes with the first batch that has it, and older records still fit', async () => {
    await using under = await SinkUnderTest.open(factory);
    const narrow = under.orders;
    await under.write([create(1, 1)]);
    const shape = ordersShape([{ name: 'c', type: { kind: 'boolean' }, optional: true }]);
    under.orders = await TableChangesBuilder.register(shape, under.registry);
    // Both schemas in one batch, the old one late.
    const records = [under.orders.record(wide(3, 2)), narrow.record(create(2, 3))];
    await under.sink.write([under.batchOfRecords(records)], SIGNAL);
    await under.reopen();
    await under.write([wide(4, 4)]);
    expect(await under.rows('id', 'c')).toEqual([
      ['1', null],
      ['2', 'true'],
      ['3', null],
      ['4', 'true'],
    ]);
  });

  test('a column with a default fills the rows that are there, in mode merge only', async () => {
    for (const mode of ['merge', 'append'] as const) {
      await using under = await SinkUnderTest.open(factory, { mode });
      await under.write([create(1, 1)]);
      const c = { name: 'c', type: { kind: 'string' as const }, optional: true, default: 'x' };
      const d = {
        name: 'd',
        type: { kind: 'decimal' as const, precision: 6, scale: 2 },
        optional: false,
        default: '\u0001,',
      };
      under.orders = await TableChangesBuilder.register(ordersShape([c, d]), under.registry);
      const after = { id: 2, a: null, b: null, c: null, d: Buffer.from([5]) };
      await under.write([{ op: 'c', version: 2, after }]);
      expect(await under.rows('id', 'c', 'd')).toEqual([
        mode === 'merge' ? ['1', 'x', '3.00'] : ['1', null, null],
        ['2', null, '0.05'],
      ]);
    }
  });

  test('a column that is back comes together with columns that change', async () => {
    await using under = await SinkUnderTest.open(factory);
    const { shape } = under.orders;
    const shaped = (columns: TableShape['columns']): Promise<TableChangesBuilder> =>
      TableChangesBuilder.register({ ...shape, columns }, under.registry);
    const others = shape.columns.filter(({ name }) => name !== 'a');
    const n = { name: 'n', type: { kind: 'int32' as const }, optional: true };
    under.orders = await shaped([...shape.columns, n]);
    await under.write([{ op: 'c', version: 1, after: { id: 1, a: 'old', b: null, n: 1 } }]);
    under.orders = await shaped([...others, n]);
    await under.write([{ op: 'c', version: 2, after: { id: 2, b: null, n: 2 } }]);
    const wider = { ...n, type: { kind: 'int64' as const } };
    const z = { name: 'z', type: { kind: 'boolean' as const }, optional: true };
    under.orders = await shaped([...shape.columns, wider, z]);
    await under.write([
      { op: 'c', version: 3, after: { id: 3, a: 'new', b: null, n: 3n, z: true } },
    ]);
    expect(await under.rows('id', 'a', 'n', 'z')).toEqual([
      ['1', null, '1', null],
      ['2', null, '2', null],
      ['3', 'new', '3', 'true'],
    ]);
  });

  test('a dropped column is kept, and one that comes under its name is a new one', async () => {
    await using under = await SinkUnderTest.open(factory);
    const full = under.orders;
    await under.write([create(1, 1), create(2, 2)]);
    const columns = full.shape.columns.filter(({ name }) => name !== 'a');
    under.orders = await TableChangesBuilder.register({ ...full.shape, columns }, under.registry);
    await under.write([{ op: 'u', version: 3, before: null, after: { id: 2, b: 22n } }]);
    expect(await under.rows('id', 'a')).toEqual([
      ['1', 'a1'],
      ['2', null],
    ]);
    await under.reopen();
    under.orders = full;
    await under.write([create(4, 4, 'new')]);
    expect(await under.rows('id', 'a')).toEqual([
      ['1', null],
      ['2', null],
      ['4', 'new'],
    ]);
  });

  test('a number may become text, and all of its digits are there', async () => {
    await using under = await SinkUnderTest.open(factory, { shape: shapeOf('int32', 6) });
    await under.write([row(1, 1, -7)]);
    const late = under.orders.record(row(2, 3, 12));
    const text: TableShape = ordersShape([
      { name: 'n', type: { kind: 'string' }, optional: true },
      { name: 'd', type: { kind: 'decimal', precision: 6, scale: 2 }, optional: true },
    ]);
    under.orders = await TableChangesBuilder.register(text, under.registry);
    const after = { id: 2, a: null, b: null, n: 'seven', d: null };
    await under.write([{ op: 'c', version: 3, after }]);
    await under.sink.write([under.batchOfRecords([late])], SIGNAL);
    expect(await under.rows('id', 'n')).toEqual([
      ['1', '-7'],
      ['2', 'seven'],
      ['3', '12'],
    ]);
  });

  test('a type that grows without loss is widened, and older records still fit', async () => {
    await using under = await SinkUnderTest.open(factory, { shape: shapeOf('int32', 6) });
    const narrow = under.orders;
    await under.write([row(1, 1, 1)]);
    under.orders = await TableChangesBuilder.register(shapeOf('int64', 8), under.registry);
    await under.write([row(3, 2, 5_000_000_000n)]);
    await under.sink.write([under.batchOfRecords([narrow.record(row(2, 3, 3))])], SIGNAL);
    expect(await under.rows('id', 'n', 'd')).toEqual([
      ['1', '1', '0.0100'],
      ['2', '5000000000', '0.0002'],
      ['3', '3', '0.0300'],
    ]);
  });

  test('a type that cannot grow into the other is refused and nothing is written', async () => {
    await using under = await SinkUnderTest.open(factory);
    const before = under.orders;
    await under.write([create(1, 1)]);
    const columns = before.shape.columns.map((column) =>
      column.name === 'a' ? { ...column, type: { kind: 'int32' as const } } : column,
    );
    under.orders = await TableChangesBuilder.register({ ...before.shape, columns }, under.registry);
    const wrong = under.orders.record({ op: 'c', version: 2, after: { id: 2, a: 2, b: 0n } });
    expect(await under.refused([wrong])).toMatchObject({
      code: 'SINK_TABLE_CONFLICT',
      place: 'table public.orders',
    });
    expect(await under.reopen()).toEqual([1]);
    expect(await under.rows('id')).toEqual([['1']]);
  });

  test.each([
    ['columns that differ by case only', [{ name: 'A', type: { kind: 'string' }, optional: true }]],
    [
      'a column named like one of ours',
      [{ name: '_VERSION', type: { kind: 'int64' }, optional: true }],
    ],
  ] as const)('%s are refused', async (_, more) => {
    await using under = await SinkUnderTest.open(factory, { shape: ordersShape(more) });
    const record = under.orders.record(create(1, 1));
    expect(await under.refused([record])).toMatchObject({ code: 'SINK_TABLE_CONFLICT' });
  });

  test('a malformed record is named by its place and nothing of its batch is written', async () => {
    await using under = await SinkUnderTest.open(factory);
    const good = under.orders.record(create(1, 1));
    const cut = { ...under.orders.record(create(2, 2)) };
    cut.value = cut.value?.subarray(0, 12) ?? null;
    expect(await under.refused([good, cut])).toMatchObject({
      code: 'RECORD_MALFORMED',
      place: 'shop.public.orders.changes, partition 0, offset 1',
    });
    expect(await under.reopen()).toEqual([undefined]);
  });
}
