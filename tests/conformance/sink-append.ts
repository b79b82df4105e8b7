import { expect, test } from 'vitest';
import { create, truncate, update } from './sink-orders.ts';
import { ordersShape, SinkUnderTest, type SinkFactory } from './sink-under-test.ts';

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
