import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { topicName } from '../broker/broker.ts';
import { type Embedded, openEmbedded } from '../broker/embedded/embedded.ts';
import { pack, type PlainRecord } from '../broker/records.ts';
import { componentsOf } from '../components.ts';
import { type Config, parseConfig } from '../config.ts';
import { silent } from '../log.ts';
import { create } from '../tests/conformance/sink-orders.ts';
import { ordersShape } from '../tests/conformance/sink-under-test.ts';
import { TableChangesBuilder } from '../tests/support/changes.ts';
import type { Components } from './components.ts';
import { openPipeline, type Pipeline } from './run.ts';

const never = new AbortController().signal;

/** A pipeline over a real broker and DuckDB whose `.changes` topics a test writes itself. */
class ParkingPipeline {
  readonly folder = mkdtempSync(join(tmpdir(), 'millrace-parking-'));
  readonly config: Config;

  constructor(more = '') {
    onTestFinished(() => rmSync(this.folder, { recursive: true }));
    this.config = parseConfig(
      `pipeline: shop
broker: { kind: embedded, path: "${this.folder}/broker" }
source: { kind: postgres, tables: [public.orders, public.customers] }
sinks: [{ kind: duckdb, path: "${this.folder}/shop.duckdb" }]
${more}
`,
      { file: 'millrace.yaml', environment: {} },
    );
  }

  openBroker(): Promise<Embedded> {
    return openEmbedded({ path: `${this.folder}/broker`, fsync: false }, silent);
  }

  open(broker: Embedded): Promise<Pipeline> {
    const waiting = {
      async *changes(_: unknown, signal: AbortSignal) {
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        yield* [];
      },
      plan: () => Promise.resolve([]),
      ack: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    const components: Components = {
      ...componentsOf(this.config, { environment: {} }, silent),
      openBroker: () => Promise.resolve(broker),
      openConnector: () => Promise.resolve(waiting),
    };
    return openPipeline(this.config, components, { log: silent, pid: 1, signal: never });
  }
}

async function publish(
  { broker }: Embedded,
  table: string,
  records: readonly PlainRecord[],
): Promise<void> {
  const topic = topicName('shop', table, 'changes');
  await broker.publish([{ topic, partition: 0, records: pack(records) }]);
}

async function idsOf(pipeline: Pipeline, table: string): Promise<unknown[]> {
  const { rows } = await pipeline.query(`SELECT id FROM ${table} ORDER BY id`);
  return rows.map(([id]) => id);
}

/** Starts it; it is stopped and has ended when the stack is disposed. */
function start(pipeline: Pipeline, stack: AsyncDisposableStack): void {
  const stop = new AbortController();
  const running = pipeline.run(stop.signal);
  stack.defer(async () => {
    stop.abort();
    await running;
  });
}

test('a parked table waits, is said everywhere, and loses nothing; the other goes on', async () => {
  const parking = new ParkingPipeline();
  const broker = await parking.openBroker();
  await using pipeline = await parking.open(broker);
  await using stack = new AsyncDisposableStack();
  start(pipeline, stack);
  const orders = await TableChangesBuilder.register(ordersShape(), broker.registry);
  const shape = { ...ordersShape(), topic: 'shop.public.customers' };
  const customers = await TableChangesBuilder.register(shape, broker.registry);
  await publish(broker, 'public.orders', [orders.record(create(1, 1))]);
  await expect.poll(() => idsOf(pipeline, 'public.orders').catch(() => [])).toEqual([1]);

  const cut = { ...orders.record(create(2, 2)) };
  cut.value = cut.value?.subarray(0, 12) ?? null;
  await publish(broker, 'public.orders', [cut, orders.record(create(3, 3))]);
  await publish(broker, 'public.customers', [customers.record(create(1, 1))]);
  await expect
    .poll(async () => (await pipeline.status()).parked)
    .toMatchObject([
      {
        sink: 'duckdb',
        table: 'public.orders',
        target: 'public.orders',
        code: 'RECORD_MALFORMED',
        waitingRecords: 2,
      },
    ]);
  await publish(broker, 'public.customers', [customers.record(create(2, 2))]);
  await expect.poll(() => idsOf(pipeline, 'public.customers').catch(() => [])).toEqual([1, 2]);
  await expect.poll(() => pipeline.unready()).toEqual([]);
  expect(pipeline.tables.degraded()).toEqual([expect.stringContaining('RECORD_MALFORMED')]);
  const metrics = await pipeline.metricsText();
  expect(metrics).toContain('millrace_parked_tables{pipeline="shop",sink="duckdb"} 1');
  expect(metrics).toContain(
    'millrace_parked_records{pipeline="shop",sink="duckdb",table="public.orders"} 2',
  );
  expect(await idsOf(pipeline, 'public.orders')).toEqual([1]);

  // Resumed with the same record in its way, it is parked again at the same place.
  await pipeline.tables.resume('public.orders');
  await expect
    .poll(async () => (await pipeline.status()).parked)
    .toMatchObject([{ waitingRecords: 2 }]);
  expect(await idsOf(pipeline, 'public.customers')).toEqual([1, 2]);
});

test('a table is rebuilt from its topic while the others are written', async () => {
  const parking = new ParkingPipeline();
  const broker = await parking.openBroker();
  await using pipeline = await parking.open(broker);
  await using stack = new AsyncDisposableStack();
  start(pipeline, stack);
  const orders = await TableChangesBuilder.register(ordersShape(), broker.registry);
  const ids = Array.from({ length: 500 }, (_, index) => index + 1);
  for (const id of ids) await publish(broker, 'public.orders', [orders.record(create(id, id))]);
  await expect.poll(() => idsOf(pipeline, 'public.orders').catch(() => [])).toEqual(ids);
  await pipeline.tables.rebuild('public.orders', { from: 'changes', signal: never });
  await publish(broker, 'public.orders', [orders.record(create(501, 501))]);
  await expect.poll(() => idsOf(pipeline, 'public.orders').catch(() => [])).toEqual([...ids, 501]);
  expect((await pipeline.status()).parked).toEqual([]);
});

test('a table is not rebuilt from a topic that does not hold it', async () => {
  const parking = new ParkingPipeline('topics: { changesRetention: 1s }');
  const broker = await parking.openBroker();
  await using pipeline = await parking.open(broker);
  await using stack = new AsyncDisposableStack();
  start(pipeline, stack);
  const orders = await TableChangesBuilder.register(ordersShape(), broker.registry);
  await publish(broker, 'public.orders', [orders.record(create(1, 1))]);
  await expect.poll(() => idsOf(pipeline, 'public.orders').catch(() => [])).toEqual([1]);
  // Nothing has published the newest rows.
  const signal = never;
  await expect(
    pipeline.tables.rebuild('public.orders', { from: 'latest', signal }),
  ).rejects.toMatchObject({ code: 'REBUILD_REFUSED', expected: 'a table with a key' });
  await broker.maintain(Date.now() + 60_000);
  await expect(
    pipeline.tables.rebuild('public.orders', { from: 'changes', signal }),
  ).rejects.toMatchObject({ code: 'SINK_GAP', place: 'shop.public.orders.changes-0' });
  expect(await idsOf(pipeline, 'public.orders')).toEqual([1]);
  expect(pipeline.tables.rebuilds).toEqual([]);
});

test('a stop gives a rebuild up, and an abort does', async () => {
  const parking = new ParkingPipeline();
  const broker = await parking.openBroker();
  await using pipeline = await parking.open(broker);
  const stack = new AsyncDisposableStack();
  start(pipeline, stack);
  const orders = await TableChangesBuilder.register(ordersShape(), broker.registry);
  await publish(broker, 'public.orders', [orders.record(create(1, 1))]);
  await expect.poll(() => idsOf(pipeline, 'public.orders').catch(() => [])).toEqual([1]);
  await expect(
    pipeline.tables.rebuild('public.orders', { from: 'changes', signal: AbortSignal.abort() }),
  ).rejects.toMatchObject({ name: 'AbortError' });
  expect(await idsOf(pipeline, 'public.orders')).toEqual([1]);
  const rebuilding = pipeline.tables.rebuild('public.orders', { from: 'changes', signal: never });
  await Promise.all([stack.disposeAsync(), rebuilding.catch(() => {})]);
  expect(pipeline.tables.rebuilds).toEqual([]);
});

test('what a stopped pipeline has parked is still parked when it starts again', async () => {
  const parking = new ParkingPipeline();
  for (const run of [1, 2]) {
    const broker = await parking.openBroker();
    await using pipeline = await parking.open(broker);
    await using stack = new AsyncDisposableStack();
    start(pipeline, stack);
    const orders = await TableChangesBuilder.register(ordersShape(), broker.registry);
    const cut = { ...orders.record(create(run, run)) };
    cut.value = cut.value?.subarray(0, 12) ?? null;
    await publish(broker, 'public.orders', [run === 1 ? cut : orders.record(create(2, 2))]);
    await expect
      .poll(async () => (await pipeline.status()).parked)
      .toMatchObject([{ table: 'public.orders', waitingRecords: run }]);
  }
});
