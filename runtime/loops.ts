import {
  type Broker,
  type BrokerState,
  type Offset,
  type Subscription,
  type TopicName,
  type TopicPartition,
} from '../broker/broker.ts';
import { releaseBatches } from '../broker/segment-memory.ts';
import type { Connector } from '../connectors/connector.ts';
import type { Processor } from '../processors/processor.ts';
import type { ParkedTable, Sink } from '../sinks/sink.ts';
import type { Reach } from './failpoints.ts';
import type { Positions } from './positions.ts';
import type { SinkTables } from './sink-tables.ts';
import type { StageMeter } from './stage-meter.ts';
import { StageTopics } from './stage-topics.ts';

interface Stage {
  readonly broker: Broker;
  readonly meter: StageMeter;
  readonly reach: Reach;
}

interface Reader extends Stage {
  readonly subscription: Subscription;
  /** Go on behind records that a topic has forgotten, which is refused otherwise: a new snapshot brings all rows. */
  readonly acceptGaps?: boolean;
}

/** Outside → raw topics. Ends when the signal aborts, after the batch in hand (I8). */
export async function sourceLoop(
  connector: Connector,
  stage: Stage & { readonly positions: Positions; readonly producer: string },
  signal: AbortSignal,
): Promise<void> {
  const { broker, meter, reach, positions, producer } = stage;
  const after = await positions.read(signal);
  for await (const batch of connector.changes(after, signal)) {
    meter.received(batch);
    reach('source.read');
    // I5: records and position become durable together.
    const outgoing = [...batch.outgoing, positions.record(batch.position)];
    await broker.publish(outgoing, { producer });
    positions.published(batch.position);
    reach('source.published');
    // I1: only now may the source forget them.
    await connector.ack(batch.position);
    reach('source.acked');
    meter.finished(batch);
  }
}

/** Topics → topics. A partition is opened from its output topics before its first batch. */
export async function processorLoop(
  processor: Processor,
  stage: Reader,
  signal: AbortSignal,
): Promise<void> {
  const { broker, meter, reach } = stage;
  const { group } = stage.subscription;
  const topics = new StageTopics(broker, group, signal);
  let paused: readonly TopicPartition[] = [];
  const subscription: Subscription = {
    ...stage.subscription,
    paused: () => paused,
    assigned: async (partitions) => {
      for (const partition of partitions) await processor.open(partition, topics);
      meter.ready();
      return stage.acceptGaps === true ? behindGaps(await broker.describe(), group) : [];
    },
    revoked: async (partitions) => {
      for (const partition of partitions) await processor.close(partition);
    },
  };
  for await (const batches of broker.subscribe(subscription, signal)) {
    if (batches.length > 0) meter.delivered(batches);
    let input = batches;
    for (let more = true; more; input = []) {
      const processed = await processor.process(input);
      more = processed.more;
      paused = processed.paused;
      if (processed.consumed.length === 0) continue;
      reach('processor.processed');
      // I5: output and consumed offsets, or neither.
      await broker.publish(processed.outgoing, { consumed: processed.consumed });
      reach('processor.published');
    }
    // Where a partition waits, the processor still holds records of it.
    if (paused.length === 0) releaseBatches(batches);
    if (batches.length > 0) meter.finishedDelivery();
  }
}

type SinkStage = Reader & {
  /** Ends a write that is under way; the loop's signal only what comes after it. */
  readonly halt: AbortSignal;
  readonly tables: SinkTables;
  /** Told of each table that is parked. */
  readonly parked: (table: ParkedTable) => void;
};

/**
 * Topics → outside. The sink's ledger says where each partition goes on; the broker's offsets only
 * follow it, for lag. Topics of parked tables are not read (I4): each time a table is parked, resumed or
 * rebuilt, the loop leaves the group and joins it for the topics that go on.
 */
export async function sinkLoop(sink: Sink, stage: SinkStage, signal: AbortSignal): Promise<void> {
  const { broker, meter, subscription, tables } = stage;
  tables.begin(sink, broker);
  try {
    while (!signal.aborted) {
      const turn = tables.turn(signal);
      await tables.serve();
      const topics = subscription.topics.filter((topic) => !tables.isParked(topic));
      if (topics.length > 0) await deliver(sink, { ...stage, topics }, turn);
      else {
        meter.ready();
        await untilAborted(turn);
      }
    }
  } finally {
    tables.end();
  }
}

/** Until the signal aborts, or a table is refused. */
async function deliver(
  sink: Sink,
  stage: SinkStage & { readonly topics: readonly TopicName[] },
  signal: AbortSignal,
): Promise<void> {
  const { broker, meter, reach, halt, topics } = stage;
  const subscription: Subscription = {
    ...stage.subscription,
    topics,
    assigned: async (partitions) => {
      const known = await sink.open(partitions);
      const state = await broker.describe();
      meter.ready();
      const next = stage.acceptGaps === true ? known.map((one) => kept(state, one)) : known;
      return [...next, ...beginnings(state, partitions, known)];
    },
  };
  for await (const batches of broker.subscribe(subscription, signal)) {
    meter.delivered(batches);
    reach('sink.received');
    const written = await sink.write(batches, halt);
    reach('sink.written');
    const refused = new Set(written.refused.map(({ topic }) => topic));
    const done = batches.filter(({ topic }) => !refused.has(topic));
    await broker.commit(done.map((batch) => batch.consumed));
    reach('sink.committed');
    meter.finished(written);
    if (refused.size > 0) {
      for (const table of written.refused) stage.parked(table);
      return;
    }
  }
}

type Next = TopicPartition & { readonly next: Offset };

/** Where a group goes on, behind what its topics have forgotten; where they have all of it, it knows itself. */
function behindGaps(state: BrokerState, group: string): Next[] {
  const committed = state.groups.find((found) => found.group === group)?.committed ?? [];
  return committed.map((one) => kept(state, one)).filter((one, at) => one !== committed[at]);
}

/** The same place, or the first that its topic still has. */
function kept({ topics }: BrokerState, at: Next): Next {
  const found = topics.find(({ topic }) => topic === at.topic)?.offsets[at.partition];
  return found === undefined || at.next >= found.start ? at : { ...at, next: found.start };
}

/** Where partitions begin that the sink has nothing of, whatever the group has committed (I4). */
function beginnings(
  { topics }: BrokerState,
  partitions: readonly TopicPartition[],
  known: readonly TopicPartition[],
): Next[] {
  const unknown = partitions.filter(
    ({ topic, partition }) =>
      !known.some((other) => other.topic === topic && other.partition === partition),
  );
  return unknown.flatMap(({ topic, partition }) => {
    const found = topics.find((candidate) => candidate.topic === topic)?.offsets[partition];
    return found === undefined ? [] : [{ topic, partition, next: found.start }];
  });
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}
