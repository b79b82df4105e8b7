import { expect, test } from 'vitest';
import { offset, type RecordBatch, type TopicName } from '../../broker/broker.ts';
import { batchOf, TableChangesBuilder } from '../support/changes.ts';
import { create, update } from './sink-orders.ts';
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

  test('a rebuilt table is gone with its offsets, and is made again from what comes', async () => {
    await using under = await SinkUnderTest.open(factory);
    const first = under.batch([create(1, 1), update(2, 1, 'new')]);
    await under.sink.write([first], SIGNAL);
    const start = { partition: 0, next: offset(0) };
    await under.sink.rebuild(under.orders.topic, [start]);
    await expect(under.rows('id')).rejects.toThrow(/exist/);
    // Nobody may write on from where it was: the partitions have to be opened again.
    await expect(under.write([create(3, 3)])).rejects.toMatchObject({ code: 'SINK_FENCED' });
    expect(await under.takeOver()).toEqual([0]);
    await under.sink.write([first], SIGNAL);
    expect(await under.rows('id', 'a', '_version')).toEqual([['1', 'new', '2']]);
  });
}
