import { expect, test } from 'vitest';
import { offset, type RecordBatch, topicName, type TopicName } from '../../broker/broker.ts';
import { batchOf, TableChangesBuilder } from '../support/changes.ts';
import { create, remove, truncate, update } from './sink-orders.ts';
import { ordersShape, SIGNAL, SinkUnderTest, type SinkFactory } from './sink-under-test.ts';

/** A second table beside `orders`, and batches of it. */
class Customers {
  readonly #builder: TableChangesBuilder;
  #next = 0;

  private constructor(builder: TableChangesBuilder) {
    this.#builder = builder;
  }

  static async open(under: SinkUnderTest): Promise<Customers> {
    const shape = { ...ordersShape(), topic: 'shop.public.customers' };
    const customers = new Customers(await TableChangesBuilder.register(shape, under.registry));
    await under.sink.open([{ topic: customers.topic, partition: 0 }]);
    return customers;
  }

  get topic(): TopicName {
    return this.#builder.topic;
  }

  batch(...ids: readonly number[]): RecordBatch {
    const base = this.#next;
    this.#next += ids.length;
    const records = ids.map((id) => this.#builder.record(create(base + id, id)));
    return batchOf(records, { topic: this.topic, base });
  }
}

export function sinkParking(factory: SinkFactory): void {
  test('a poison record parks its table where it was, and the others are written', async () => {
    await using under = await SinkUnderTest.open(factory);
    const customers = await Customers.open(under);
    await under.write([create(1, 1)]);
    const cut = { ...under.orders.record(create(3, 3)) };
    cut.value = cut.value?.subarray(0, 12) ?? null;
    const poison = under.batchOfRecords([under.orders.record(create(2, 2)), cut]);
    const written = await under.sink.write([poison, customers.batch(1, 2)], SIGNAL);
    expect(written).toMatchObject({ changes: 2, rows: 2 });
    const { topic } = under.orders;
    const parked = {
      topic,
      table: 'public.orders',
      code: 'RECORD_MALFORMED',
      place: `${topic}, partition 0, offset 2`,
      partitions: [{ partition: 0, next: 1 }],
    };
    expect(written.refused).toMatchObject([parked]);
    expect(await under.rows('id')).toEqual([['1']]);
    expect(await under.target.rows('public.customers', ['id'])).toEqual([['1'], ['2']]);

    // Durable: also another sink leaves the table alone, and nothing of it is skipped.
    expect(await under.reopen()).toEqual([1]);
    expect(await under.sink.parked()).toMatchObject([parked]);
    await under.sink.open([{ topic: customers.topic, partition: 0 }]);
    const later = await under.sink.write([poison, customers.batch(3)], SIGNAL);
    expect(later).toMatchObject({ changes: 1, refused: [parked] });
    expect(await under.takeOver()).toEqual([1]);
  });

  test('a resumed table goes on with what it refused, and is parked again if it still refuses', async () => {
    await using under = await SinkUnderTest.open(factory, {
      tables: { 'public.orders': { evolution: 'freeze' } },
    });
    await under.write([create(1, 1)]);
    const more = ordersShape([{ name: 'c', type: { kind: 'boolean' }, optional: true }]);
    const wide = await TableChangesBuilder.register(more, under.registry);
    const after = { id: 2, a: 'a2', b: 2n, c: true };
    const batch = under.batchOfRecords([wide.record({ op: 'c', version: 2, after })]);
    const refused = { code: 'SINK_CHANGE_REFUSED', place: 'table public.orders' };
    expect(await under.sink.write([batch], SIGNAL)).toMatchObject({ refused: [refused] });
    await under.sink.resume(batch.topic);
    expect(await under.sink.parked()).toEqual([]);
    expect(await under.sink.write([batch], SIGNAL)).toMatchObject({ refused: [refused] });

    await under.sink[Symbol.asyncDispose]();
    under.sink = under.target.sink({ ...under.options, tables: {} });
    expect(await under.takeOver()).toEqual([1]);
    await under.sink.resume(batch.topic);
    expect(await under.sink.write([batch], SIGNAL)).toMatchObject({ changes: 1, refused: [] });
    expect(await under.rows('id', 'c')).toEqual([
      ['1', null],
      ['2', 'true'],
    ]);
  });

  test('what came before a refused change is written, up to it', async () => {
    await using under = await SinkUnderTest.open(factory, { evolution: 'freeze' });
    const more = ordersShape([{ name: 'c', type: { kind: 'boolean' }, optional: true }]);
    const wide = await TableChangesBuilder.register(more, under.registry);
    const records = [
      under.orders.record(create(1, 1)),
      under.orders.record(update(2, 1, 'last')),
      wide.record({ op: 'c', version: 3, after: { id: 3, a: null, b: null, c: true } }),
    ];
    const written = await under.sink.write([under.batchOfRecords(records)], SIGNAL);
    expect(written).toMatchObject({ changes: 2, refused: [{ partitions: [{ next: 2 }] }] });
    expect(await under.rows('id', 'a')).toEqual([['1', 'last']]);
    expect(await under.reopen()).toEqual([2]);
  });

  test('a table is rebuilt beside the one in place, which goes on, and then takes its place', async () => {
    await using under = await SinkUnderTest.open(factory);
    const first = under.batch([create(1, 1), update(2, 1, 'new'), create(3, 2), remove(4, 2)]);
    await under.sink.write([first], SIGNAL);
    await using rebuild = await under.sink.rebuild(under.orders.topic, 'changes');
    await expect(under.sink.rebuild(under.orders.topic, 'changes')).rejects.toMatchObject({
      code: 'REBUILD_REFUSED',
    });
    await rebuild.write([first]);
    await under.write([create(5, 3)]);
    expect(await under.rows('id')).toEqual([['1'], ['3']]);
    await rebuild.replace([{ partition: 0, next: offset(4) }]);
    expect(await under.rows('id', 'a', '_version')).toEqual([['1', 'new', '2']]);
    // Nobody may write on from where it was: the partitions have to be opened again.
    await expect(under.write([create(6, 4)])).rejects.toMatchObject({ code: 'SINK_FENCED' });
    expect(await under.takeOver()).toEqual([4]);
    // What was deleted is remembered: it does not come back.
    const late = batchOf([under.orders.record(create(3, 2)), under.orders.record(create(5, 3))], {
      topic: under.orders.topic,
      base: 4,
    });
    await under.sink.write([late], SIGNAL);
    expect(await under.rows('id', '_version')).toEqual([
      ['1', '2'],
      ['3', '5'],
    ]);
    await using again = await under.sink.rebuild(under.orders.topic, 'changes');
    await again.write([first]);
  });

  test('a rebuild that is given up, or refused, leaves the table as it was and nothing else', async () => {
    await using under = await SinkUnderTest.open(factory);
    const first = under.batch([create(1, 1)]);
    await under.sink.write([first], SIGNAL);
    {
      await using rebuild = await under.sink.rebuild(under.orders.topic, 'changes');
      await rebuild.write([first]);
    }
    {
      await using rebuild = await under.sink.rebuild(under.orders.topic, 'changes');
      await rebuild.write([first]);
      const cut = { ...under.orders.record(create(2, 2)) };
      cut.value = cut.value?.subarray(0, 12) ?? null;
      const poison = batchOf([cut], { topic: under.orders.topic, base: 1 });
      await expect(rebuild.write([poison])).rejects.toMatchObject({ code: 'RECORD_MALFORMED' });
    }
    await under.write([create(2, 2)]);
    await under.reopen();
    expect(await under.rows('id')).toEqual([['1'], ['2']]);
    expect(await under.tables()).toEqual(['public.orders']);
    expect(await under.sink.parked()).toEqual([]);
  });

  test('a rebuild from the newest rows holds what the changes made, and is refused where it cannot', async () => {
    await using under = await SinkUnderTest.open(factory);
    await under.write([create(1, 1), create(2, 2), update(3, 1), remove(4, 2), create(5, 3)]);
    const before = await under.rows('id', 'a', 'b', '_version');
    const newest = topicName('shop.public.orders.latest');
    const { value: _, ...tombstone } = under.orders.record(remove(4, 2));
    const rows = [under.orders.record(update(3, 1)), { ...tombstone, value: null }];
    rows.push(under.orders.record(create(5, 3)));
    {
      await using rebuild = await under.sink.rebuild(under.orders.topic, 'latest');
      await rebuild.write([batchOf(rows, { topic: newest, base: 2 })]);
      await rebuild.replace([{ partition: 0, next: offset(5) }]);
    }
    expect(await under.rows('id', 'a', 'b', '_version')).toEqual(before);
    expect(await under.takeOver()).toEqual([5]);
    await using partial = await under.sink.rebuild(under.orders.topic, 'latest');
    const unknown = { ...update(6, 1), unchanged: ['a'] };
    const lacking = batchOf([under.orders.record(unknown)], { topic: newest, base: 5 });
    await expect(partial.write([lacking])).rejects.toMatchObject({
      code: 'REBUILD_REFUSED',
      place: `${newest}-0 offset 5`,
    });
    for (const options of [{ mode: 'append' as const }, { delete: 'soft' as const }]) {
      await using other = await SinkUnderTest.open(factory, options);
      await other.write([create(1, 1)]);
      await expect(other.sink.rebuild(other.orders.topic, 'latest')).rejects.toMatchObject({
        code: 'REBUILD_REFUSED',
      });
    }
  });

  test('a table of changes is rebuilt with each of them once', async () => {
    await using under = await SinkUnderTest.open(factory, { mode: 'append' });
    const first = under.batch([create(1, 1), truncate(2), create(3, 1)]);
    await under.sink.write([first], SIGNAL);
    const before = await under.rows('_version', '_op', 'id', '_event_id');
    {
      await using rebuild = await under.sink.rebuild(under.orders.topic, 'changes');
      await rebuild.write([first]);
      await rebuild.replace([{ partition: 0, next: offset(3) }]);
    }
    expect(await under.takeOver()).toEqual([3]);
    await under.sink.write([first], SIGNAL);
    expect(await under.rows('_version', '_op', 'id', '_event_id')).toEqual(before);
  });
}
