import { describe, expect, test } from 'vitest';
import { topicName } from '../broker/broker.ts';
import { pack } from '../broker/records.ts';
import { numbersIn, NumbersSource, positionOf } from '../tests/support/small-parts.ts';
import { changes, raw, SmallPipeline } from '../tests/support/small-pipeline.ts';
import { systemClock } from './clock.ts';
import { failpoints, type Reach } from './failpoints.ts';
import { Positions, positionsTopic } from './positions.ts';

const oneTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1);
const inOrder = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b);
const never = new AbortController().signal;

describe('every change once', () => {
  test('from the source to the sink, through topics that hold it once', async () => {
    const small = new SmallPipeline(50);
    await small.runUntil(50);
    expect(inOrder(small.table.rows)).toEqual(oneTo(50));
    await using opened = await small.openBroker();
    expect(inOrder(await numbersIn(opened.broker, raw))).toEqual(oneTo(50));
    expect(inOrder(await numbersIn(opened.broker, changes))).toEqual(oneTo(50));
  });

  test('a second run goes on after the last position, not from the beginning', async () => {
    const small = new SmallPipeline(10);
    await small.runUntil(10);
    const { source } = small;
    small.source = new NumbersSource('public.orders', 15);
    await small.runUntil(15);
    expect(source.begun).toEqual([null]);
    expect(small.source.begun).toEqual([positionOf(10)]);
    expect(inOrder(small.table.rows)).toEqual(oneTo(15));
  });

  test.each(failpoints)('a crash at %s loses nothing and doubles nothing', async (point) => {
    const small = new SmallPipeline(20);
    // Later stages may be given everything at once: they reach a point once for sure.
    const nth = point.startsWith('source.') ? 3 : 1;
    let times = 0;
    const crash: Reach = (reached) => {
      if (reached === point && ++times === nth) throw new Error('crash');
    };
    await expect(small.runUntil(21, crash)).rejects.toThrow('crash');
    await small.runUntil(20);
    expect(inOrder(small.table.rows)).toEqual(oneTo(20));
    await using opened = await small.openBroker();
    expect(inOrder(await numbersIn(opened.broker, raw))).toEqual(oneTo(20));
    expect(inOrder(await numbersIn(opened.broker, changes))).toEqual(oneTo(20));
  });
});

describe('the source', () => {
  test('hears of a change only when it and its position are on the topics', async () => {
    const small = new SmallPipeline(5);
    const broker = await small.openBroker();
    const stop = new AbortController();
    const durable: [string, number, string | null][] = [];
    small.source.acknowledged = async (reached) => {
      const stored = await new Positions(broker.broker, 'shop').read(never);
      durable.push([reached, (await numbersIn(broker.broker, raw)).length, stored]);
      if (durable.length === 5) stop.abort();
    };
    await using pipeline = await small.open({ broker });
    await pipeline.run(stop.signal);
    expect(durable).toEqual(oneTo(5).map((n) => [positionOf(n), n, positionOf(n)]));
  });

  test('is asked from the beginning again when it is told to start over', async () => {
    const small = new SmallPipeline(3);
    await small.runUntil(3);
    const stop = new AbortController();
    small.source.acknowledged = () => stop.abort();
    await using pipeline = await small.open({ startOver: true });
    await pipeline.run(stop.signal);
    expect(small.source.begun).toEqual([null, null]);
  });

  test('that goes back in its history is stopped', async () => {
    const small = new SmallPipeline(0);
    await using opened = await small.openBroker();
    const positions = new Positions(opened.broker, 'shop');
    positions.record(positionOf(7));
    positions.published(positionOf(7));
    positions.record(positionOf(7));
    expect(() => positions.record(positionOf(6))).toThrow('the source went back in its history');
  });

  test('knows the tables that an earlier run has captured from its first publish on', async () => {
    const small = new SmallPipeline(0);
    await using opened = await small.openBroker();
    const { broker } = opened;
    await broker.createTopics([positionsTopic]);
    const first = new Positions(broker, 'shop', { tables: ['a.b', 'a.c'] });
    expect(await first.newTables(never)).toEqual(['a.b', 'a.c']);
    await broker.publish([first.record(positionOf(1))]);
    const later = new Positions(broker, 'shop', { tables: ['a.c', 'a.d'] });
    expect(await later.newTables(never)).toEqual(['a.d']);
    expect(await later.read(never)).toBe(positionOf(1));
  });

  test('whose position cannot be read is an error, never a silent new beginning', async () => {
    const small = new SmallPipeline(1);
    await small.runUntil(1);
    await using opened = await small.openBroker();
    const { broker } = opened;
    const record = { key: Buffer.from('shop'), value: Buffer.from('{"at":3}'), timestamp: 0 };
    const topic = topicName('__millrace.positions');
    await broker.publish([{ topic, partition: 0, records: pack([record]) }]);
    const reading = new Positions(broker, 'shop').read(never);
    await expect(reading).rejects.toMatchObject({ code: 'BROKER_CORRUPT' });
    await expect(new Positions(broker, 'other').read(never)).resolves.toBeNull();
  });
});

test('status says what each stage has done and how far behind its input it is', async () => {
  const small = new SmallPipeline(12);
  const stop = new AbortController();
  // A clock ahead of the source's: on a fast machine no hop takes a whole millisecond.
  await using pipeline = await small.open({
    clock: { ...systemClock, wall: () => Date.now() + 5 },
  });
  const running = pipeline.run(stop.signal);
  // Also when an expectation fails: a stage must not outlive the broker.
  await using stack = new AsyncDisposableStack();
  stack.defer(async () => {
    stop.abort();
    await running;
  });
  const { promise: filled, resolve } = Promise.withResolvers<void>();
  small.table.written = () => {
    if (small.table.rows.length === 12) resolve();
  };
  await filled;
  await expect
    .poll(async () => (await pipeline.status()).stages.map((stage) => stage.behindRecords))
    .toEqual([null, 0, 0]);
  const status = await pipeline.status();
  expect(status).toMatchObject({ pipeline: 'shop', running: true, pid: 1, snapshot: null });
  const state = 'running';
  expect(status.stages).toMatchObject([
    { stage: 'source', state, position: positionOf(12), behindRecords: null, changes: 12 },
    { stage: 'compact', state, position: null, behindRecords: 0, changes: 12 },
    { stage: 'sink:duckdb', state, position: null, behindRecords: 0, changes: 12 },
  ]);
  expect(status.tables).toMatchObject([
    { table: 'public.orders', topics: [{ records: 12 }, { records: 12 }, { records: 0 }] },
  ]);
  expect(status.lag[0]?.total).toBeGreaterThan(0);
  expect(pipeline.unready()).toEqual([]);
  expect(pipeline.unhealthy()).toEqual([]);
});
