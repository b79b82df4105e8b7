import { beforeEach, expect, onTestFinished, test } from 'vitest';
import type { Broker } from '../broker/broker.ts';
import { copier, numbersIn, positionOf } from '../tests/support/small-parts.ts';
import { changes, raw, SmallPipeline } from '../tests/support/small-pipeline.ts';
import { systemClock } from './clock.ts';
import type { Reach } from './failpoints.ts';
import type { Processor } from '../processors/processor.ts';
import { processorLoop, sinkLoop, sourceLoop } from './loops.ts';
import { Metrics } from './metrics.ts';
import { Positions } from './positions.ts';
import { SinkTables } from './sink-tables.ts';
import { StageMeter } from './stage-meter.ts';
import { topologyOf, type StagePlan } from './topology.ts';

const LAST = 6;
const crash = new Error('crash');
const { signal: never } = new AbortController();

let small: SmallPipeline;
let broker: Broker;
/** What happened, in order. */
let effects: string[];
let stop: AbortController;
let stages: readonly StagePlan[];
/** Lets the topics forget all that nobody reads now. */
let forget: () => Promise<void>;

beforeEach(async () => {
  small = new SmallPipeline(LAST);
  effects = [];
  stop = new AbortController();
  const opened = await small.openBroker();
  onTestFinished(() => opened[Symbol.asyncDispose]());
  const topology = topologyOf(small.config, ['public.orders']);
  stages = topology.stages;
  await opened.broker.createTopics(topology.topics);
  broker = opened.broker;
  forget = async () => {
    const old = topology.topics.map((topic) => ({ ...topic, retentionMs: 1000 }));
    await broker.createTopics(old.filter(({ cleanup }) => cleanup === 'delete'));
    await opened.maintain(Date.now() + 30 * 86_400_000);
  };
});

/** The real broker, which tells when a publish or a commit is durable. */
function watched(): Broker {
  return {
    createTopics: broker.createTopics.bind(broker),
    subscribe: broker.subscribe.bind(broker),
    read: broker.read.bind(broker),
    describe: broker.describe.bind(broker),
    offsetAt: broker.offsetAt.bind(broker),
    seek: broker.seek.bind(broker),
    fence: broker.fence.bind(broker),
    publish: async (outgoing, by) => {
      await broker.publish(outgoing, by);
      effects.push('durable on the topics');
      if ((await numbersIn(broker, changes)).length === LAST) stop.abort();
    },
    commit: async (consumed) => {
      await broker.commit(consumed);
      effects.push('committed');
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function parts(index: number, crashAt?: string) {
  const plan = stages[index] as StagePlan;
  const meter = new StageMeter(plan, {
    instruments: new Metrics('shop').stage(plan),
    passing: { finished: () => undefined },
    clock: systemClock,
  });
  const reach: Reach = (point) => {
    effects.push(point);
    if (point === crashAt) throw crash;
  };
  const subscription = { group: plan.group ?? '', topics: plan.inputs, bytesMax: 1 };
  return { broker: watched(), meter, reach, subscription };
}

function runSource(crashAt?: string, startOver = false): Promise<void> {
  const positions = new Positions(broker, 'shop', { startOver });
  small.source.acknowledged = (reached) => {
    effects.push('acknowledged to the source');
    if (reached === positionOf(LAST)) stop.abort();
  };
  const stage = { ...parts(0, crashAt), positions, producer: 'shop.source' };
  return sourceLoop(small.source.connect(), stage, stop.signal);
}

function runProcessor(crashAt?: string, acceptGaps = false): Promise<void> {
  return processorLoop(copier(), { ...parts(1, crashAt), acceptGaps }, stop.signal);
}

function runSink(crashAt?: string, acceptGaps = false): Promise<void> {
  small.table.written = () => {
    effects.push('written to the sink');
    if (small.table.rows.length === LAST) stop.abort();
  };
  const stage = {
    ...parts(2, crashAt),
    acceptGaps,
    halt: never,
    tables: new SinkTables(),
    parked: () => undefined,
  };
  return sinkLoop(small.table.open(), stage, stop.signal);
}

const wanted = Array.from({ length: LAST }, (_, index) => index + 1);
const inOrder = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b);
const committed = async (group: string): Promise<number> => {
  const { groups } = await broker.describe();
  const found = groups.find((candidate) => candidate.group === group)?.committed ?? [];
  return found.reduce((sum, { next }) => sum + next, 0);
};

test('a source hears of a batch after it is durable on the topics, and is asked for the next then', async () => {
  await runSource();
  const each = ['source.read', 'durable on the topics', 'source.published'];
  const once = [...each, 'acknowledged to the source', 'source.acked'];
  expect(effects).toEqual(wanted.flatMap(() => once));
});

test.each(['source.read', 'source.published', 'source.acked'])(
  'a source that is left at %s goes on after what is on the topics, each record once',
  async (point) => {
    await expect(runSource(point)).rejects.toThrow('crash');
    expect(await new Positions(broker, 'shop').read(never)).toBe(
      point === 'source.read' ? null : positionOf(1),
    );
    expect(small.source.acked).toEqual(point === 'source.acked' ? [positionOf(1)] : []);
    await runSource();
    expect(inOrder(await numbersIn(broker, raw))).toEqual(wanted);
  },
);

test.each(['processor.processed', 'processor.published'])(
  'output and consumed offsets of a processor that is left at %s are both there or neither is',
  async (point) => {
    await runSource();
    stop = new AbortController();
    await expect(runProcessor(point)).rejects.toThrow('crash');
    const before = (await numbersIn(broker, changes)).length;
    expect(before > 0).toBe(point === 'processor.published');
    expect(await committed('shop.compact')).toBe(before);
    stop = new AbortController();
    await runProcessor();
    expect(inOrder(await numbersIn(broker, changes))).toEqual(wanted);
    expect(await committed('shop.compact')).toBe(LAST);
  },
);

test('a partition that a processor pauses gets nothing until it lets it go on, and then all of it', async () => {
  await runSource();
  stop = new AbortController();
  const given: number[] = [];
  const inner = copier();
  const processor: Processor = {
    open: inner.open.bind(inner),
    close: inner.close.bind(inner),
    [Symbol.asyncDispose]: () => Promise.resolve(),
    async process(batches) {
      given.push(...batches.map(({ partition }) => partition));
      // Partition 1 waits, from the beginning, for all of partition 0.
      const isOver = given.filter((partition) => partition === 0).length === LAST / 2;
      const paused = isOver ? [] : [{ topic: raw, partition: 1 }];
      return { ...(await inner.process(batches)), paused };
    },
  };
  await processorLoop(processor, parts(1), stop.signal);
  // At most one batch was on its way to partition 1 before the first pause.
  expect(given.slice(0, 4).filter((partition) => partition === 1).length).toBeLessThanOrEqual(1);
  expect(inOrder(await numbersIn(broker, changes))).toEqual(wanted);
});

test.each(['sink.received', 'sink.written', 'sink.committed'])(
  'a sink that is left at %s goes on where its own ledger is, not where the broker believes',
  async (point) => {
    await runSource();
    stop = new AbortController();
    await runProcessor();
    stop = new AbortController();
    effects = [];
    await expect(runSink(point)).rejects.toThrow('crash');
    const before = small.table.rows.length;
    expect(before > 0).toBe(point !== 'sink.received');
    expect(await committed('shop.sink.duckdb')).toBe(point === 'sink.committed' ? before : 0);
    stop = new AbortController();
    await runSink();
    expect(inOrder(small.table.rows)).toEqual(wanted);
    expect(await committed('shop.sink.duckdb')).toBe(LAST);
    const order = effects.filter((effect) => !effect.includes('.'));
    expect(order.indexOf('committed')).toBeGreaterThan(order.indexOf('written to the sink'));
  },
);

test('what a topic forgot before it was read stops a stage, and a new snapshot goes on behind it', async () => {
  await runSource();
  stop = new AbortController();
  await expect(runProcessor('processor.published')).rejects.toThrow('crash');
  await forget();
  stop = new AbortController();
  await expect(runProcessor()).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' });
  stop = new AbortController();
  await runSource(undefined, true);
  stop = new AbortController();
  await runProcessor(undefined, true);
  expect(inOrder(await numbersIn(broker, changes))).toEqual(wanted);
});

test('a sink whose ledger is before what its topic has stops, and a new snapshot goes on behind that', async () => {
  await runSource();
  stop = new AbortController();
  await runProcessor();
  stop = new AbortController();
  await expect(runSink('sink.written')).rejects.toThrow('crash');
  await forget();
  stop = new AbortController();
  await expect(runSink()).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' });
  await runSource(undefined, true);
  stop = new AbortController();
  await runProcessor(undefined, true);
  stop = new AbortController();
  await runSink(undefined, true);
  expect(small.table.rows.length).toBe(LAST);
});
