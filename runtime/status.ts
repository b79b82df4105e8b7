import type { BrokerState } from '../broker/broker.ts';
import type { CopyProgress, Position, SourceHealth } from '../connectors/connector.ts';
import type { ParkedTable } from '../sinks/sink.ts';
import type { SnapshotProgress } from './components.ts';
import type { HopLag } from './lag.ts';
import type { RebuildProgress } from './rebuild.ts';
import type { StageError, StageKind, StageState } from './stage.ts';
import type { StagePlan, Topology } from './topology.ts';

/** What a pipeline says of itself: the answer of `/status` and what `millrace status` shows. */
export interface Status {
  readonly pipeline: string;
  readonly running: boolean;
  /** Null if it does not run. */
  readonly pid: number | null;
  readonly startedAt: number | null;
  readonly stages: readonly StageStatus[];
  /** Per sink; empty if it does not run. */
  readonly lag: readonly ({ readonly sink: string } & HopLag)[];
  /** Of the last snapshot since the start; null if there was none. */
  readonly snapshot: SnapshotProgress | null;
  /** Tables copied while they are streamed: those under way, and those that ended since the start. */
  readonly copies: readonly CopyProgress[];
  /** What the source keeps for us; null if it has not been seen yet. */
  readonly source: SourceHealth | null;
  readonly tables: readonly TableStatus[];
  /** The source's topics that belong to no table. */
  readonly besides: readonly (TopicStatus & { readonly partitions: number })[];
  /** Tables that their sink does not write to until they are resumed or rebuilt. */
  readonly parked: readonly ParkedStatus[];
  /** Tables that are being made anew. */
  readonly rebuilds: readonly RebuildProgress[];
}

export interface ParkedStatus extends Omit<ParkedTable, 'partitions' | 'topic' | 'table'> {
  readonly sink: string;
  /** As the source calls it, and as the sink does. */
  readonly table: string;
  readonly target: string;
  /** Records that wait on its topic. */
  readonly waitingRecords: number;
}

export interface StageStatus {
  readonly stage: string;
  readonly kind: StageKind;
  readonly state: StageState;
  /** The source's position; for other stages null. */
  readonly position: string | null;
  /** Records in the input topics that are not done; null for the source. */
  readonly behindRecords: number | null;
  readonly changesPerSecond: number;
  readonly changes: number;
  readonly errors: number;
  readonly lastError: StageError | null;
}

export interface TableStatus {
  readonly table: string;
  /** Records that each topic has ever been given, less what was forgotten; and bytes held. */
  readonly topics: readonly TopicStatus[];
}

export interface TopicStatus {
  readonly topic: string;
  readonly records: number;
  readonly bytes: number;
}

/** Records between what a group has committed and the end of its input topics. */
export function behindRecords(stage: StagePlan, state: BrokerState): number | null {
  if (stage.group === null) return null;
  const group = state.groups.find((candidate) => candidate.group === stage.group);
  const committed = new Map(
    group?.committed.map(({ topic, partition, next }) => [`${topic}/${partition}`, next]),
  );
  let behind = 0;
  for (const { topic, offsets } of state.topics) {
    if (!stage.inputs.includes(topic)) continue;
    offsets.forEach(({ start, end }, partition) => {
      behind += end - Math.max(start, committed.get(`${topic}/${partition}`) ?? start);
    });
  }
  return behind;
}

export function tableStatus(topology: Topology, state: BrokerState): TableStatus[] {
  const topics = new Map(state.topics.map((topic) => [topic.topic, topic.offsets]));
  return topology.tables.map(({ table, raw, changes, latest }) => ({
    table,
    topics: [raw, changes, latest].map((topic) => topicStatus(topic, topics.get(topic) ?? [])),
  }));
}

/** Of those of the source's topics that are there and belong to no table. */
export function besideStatus(
  { tables, stages }: Topology,
  { topics }: BrokerState,
): Status['besides'] {
  const written = new Set(
    stages.flatMap(({ kind, outputs }) => (kind === 'source' ? outputs : [])),
  );
  for (const { raw } of tables) written.delete(raw);
  return topics
    .filter(({ topic }) => written.has(topic))
    .map(({ topic, partitions, offsets }) => ({ ...topicStatus(topic, offsets), partitions }));
}

function topicStatus(
  topic: string,
  offsets: BrokerState['topics'][number]['offsets'],
): TopicStatus {
  return {
    topic,
    records: offsets.reduce((sum, { start, end }) => sum + (end - start), 0),
    bytes: offsets.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

export function parkedStatus(
  sink: string,
  parked: readonly ParkedTable[],
  by: { readonly topology: Pick<Topology, 'tables'>; readonly state: BrokerState },
): ParkedStatus[] {
  return parked.map(({ topic, table: target, partitions, ...why }) => {
    const offsets = by.state.topics.find((found) => found.topic === topic)?.offsets ?? [];
    const next = new Map(partitions.map((at) => [at.partition, at.next]));
    const table = by.topology.tables.find(({ changes }) => changes === topic)?.table ?? topic;
    const waitingRecords = offsets.reduce(
      (sum, { start, end }, partition) => sum + end - Math.max(start, next.get(partition) ?? start),
      0,
    );
    return { sink, table, target, waitingRecords, ...why };
  });
}

/** The status of a pipeline that does not run, from what its broker holds. */
export function stoppedStatus(
  topology: Topology,
  state: BrokerState,
  of: { readonly position: Position | null; readonly parked: readonly ParkedStatus[] },
): Status {
  return {
    pipeline: topology.pipeline,
    running: false,
    pid: null,
    startedAt: null,
    stages: topology.stages.map((stage) => ({
      stage: stage.name,
      kind: stage.kind,
      state: 'stopped',
      position: stage.kind === 'source' ? of.position : null,
      behindRecords: behindRecords(stage, state),
      changesPerSecond: 0,
      changes: 0,
      errors: 0,
      lastError: null,
    })),
    lag: [],
    snapshot: null,
    copies: [],
    source: null,
    tables: tableStatus(topology, state),
    besides: besideStatus(topology, state),
    parked: of.parked,
    rebuilds: [],
  };
}
