import type { Broker, BrokerState, Offset, TopicName } from '../broker/broker.ts';
import { RecordCursor } from '../broker/records.ts';
import type { TableHeld } from '../sinks/sink.ts';
import type { TableTopics, Topology } from './topology.ts';

/** How much of a table a sink has, and how much is on its way there. */
export interface Delivery {
  readonly table: string;
  readonly sink: string;
  /** Rows that it holds; null where the sink cannot say. */
  readonly rows: number | null;
  /** Changes that it has been given, in all; null where the sink cannot say. */
  readonly changes: number | null;
  /** Records of the table on its topics that are not in the sink yet. */
  readonly behindRecords: number;
  /** Since the oldest of them was committed in the source; null if that was not looked up. */
  readonly behindSeconds: number | null;
}

export interface DeliveryParts {
  readonly broker: Broker;
  readonly topology: Topology;
  /** What each sink holds, by its name; left out where it is not open. */
  readonly held: ReadonlyMap<string, readonly TableHeld[]>;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Tables whose oldest record is looked up, at most: each costs a read. */
const LOOKUPS_MAX = 50;

/** Of every table in every sink, in the order of the topology. */
export async function deliveries(
  { broker, topology, held, now }: DeliveryParts,
  signal: AbortSignal,
): Promise<Delivery[]> {
  const state = await broker.describe();
  const compact = topology.stages.find(({ kind }) => kind === 'processor');
  const found: Delivery[] = [];
  let lookups = 0;
  for (const table of topology.tables) {
    for (const stage of topology.stages.filter(({ kind }) => kind === 'sink')) {
      const sink = stage.name.slice('sink:'.length);
      const holding = held.get(sink)?.find(({ topic }) => topic === table.changes);
      const waiting = [
        ...waitingOn(table.changes, { state, group: stage.group, ledger: holding?.partitions }),
        ...waitingOn(table.raw, { state, group: compact?.group ?? null }),
      ];
      const behindRecords = waiting.reduce((sum, { records }) => sum + records, 0);
      const looked = behindRecords > 0 && lookups++ < LOOKUPS_MAX;
      const oldest = looked ? await oldestOf(broker, waiting, signal) : null;
      const behindSeconds = oldest === null ? null : Math.max(0, now - oldest) / 1000;
      found.push({
        table: table.table,
        sink,
        rows: holding?.rows ?? null,
        changes: holding?.changes ?? null,
        behindRecords,
        behindSeconds: behindRecords === 0 ? 0 : behindSeconds,
      });
    }
  }
  return found;
}

interface Waiting {
  readonly topic: TableTopics['raw'];
  readonly partition: number;
  readonly next: Offset;
  readonly records: number;
}

/** The partitions of a topic that are not done. A ledger knows better than the group where they go on. */
function waitingOn(
  topic: TopicName,
  by: {
    readonly state: BrokerState;
    readonly group: string | null;
    readonly ledger?: TableHeld['partitions'] | undefined;
  },
): Waiting[] {
  const { state, group, ledger } = by;
  const committed = state.groups.find((found) => found.group === group)?.committed ?? [];
  const offsets = state.topics.find((found) => found.topic === topic)?.offsets ?? [];
  return offsets.flatMap(({ start, end }, partition) => {
    const done =
      ledger?.find((at) => at.partition === partition)?.next ??
      committed.find((at) => at.topic === topic && at.partition === partition)?.next ??
      start;
    const next = done > start ? done : start;
    return next < end ? [{ topic, partition, next, records: end - next }] : [];
  });
}

/** When the oldest of the records was committed in the source, ms since 1970. */
async function oldestOf(
  broker: Broker,
  waiting: readonly Waiting[],
  signal: AbortSignal,
): Promise<number | null> {
  let oldest: number | null = null;
  for (const from of waiting) {
    for await (const { segments } of broker.read(from, signal)) {
      const [first] = segments;
      if (first === undefined) continue;
      const cursor = new RecordCursor(first.bytes);
      if (cursor.next()) oldest = Math.min(oldest ?? Infinity, cursor.timestamp);
      break;
    }
  }
  return oldest;
}
