import {
  type BrokerState,
  topicName,
  type TopicName,
  type TopicSettings,
} from '../broker/broker.ts';
import type { Config, SinkConfig } from '../config.ts';
import { MillraceError } from '../errors.ts';
import { positionsTopic } from './positions.ts';
import { besideTables } from './source-topics.ts';
import type { StageKind } from './stage.ts';

/** The topics of a table. All three have the same number of partitions. */
export interface TableTopics {
  readonly table: string;
  readonly raw: TopicName;
  readonly changes: TopicName;
  readonly latest: TopicName;
}

export interface StagePlan {
  /** `source`, `compact` or `sink:<name>`. */
  readonly name: string;
  readonly kind: StageKind;
  /** Consumer group; null for the source. */
  readonly group: string | null;
  readonly inputs: readonly TopicName[];
  readonly outputs: readonly TopicName[];
}

/** A pipeline as a value: what is joined to what. */
export interface Topology {
  readonly pipeline: string;
  readonly tables: readonly TableTopics[];
  readonly stages: readonly StagePlan[];
  readonly topics: readonly TopicSettings[];
}

/** The tables that the configuration names; null if only the source knows, as there are patterns. */
export function namedTables(config: Config): readonly string[] | null {
  const { tables } = config.source;
  return tables.some((table) => table.includes('*')) ? null : tables;
}

export function topologyOf(config: Config, captured: readonly string[]): Topology {
  const { pipeline } = config;
  const tables = captured.map((table) => tableTopics(pipeline, table));
  refuseCollisions(tables);
  const raw = tables.map((table) => table.raw);
  const changes = tables.map((table) => table.changes);
  const latest = tables.map((table) => table.latest);
  const beside = besideTables(config);
  return {
    pipeline,
    tables,
    stages: [
      {
        name: 'source',
        kind: 'source',
        group: null,
        inputs: [],
        outputs: [...raw, ...beside.map(({ topic }) => topic)],
      },
      {
        name: 'compact',
        kind: 'processor',
        group: `${pipeline}.compact`,
        inputs: raw,
        outputs: [...changes, ...latest],
      },
      ...config.sinks.map((sink): StagePlan => ({
        name: sinkStage(sink),
        kind: 'sink',
        group: sinkGroup(pipeline, sink),
        inputs: changes,
        outputs: [],
      })),
    ],
    topics: [positionsTopic, ...beside, ...tables.flatMap((table) => settings(config, table))],
  };
}

export function sinkStage(sink: Pick<SinkConfig, 'name'>): string {
  return `sink:${sink.name}`;
}

export function sinkGroup(pipeline: string, sink: Pick<SinkConfig, 'name'>): string {
  return `${pipeline}.sink.${sink.name}`;
}

/** The sink of that name, all if none is named. Throws `USAGE`. */
export function sinksNamed(
  { sinks }: Pick<Config, 'sinks'>,
  name: string | undefined,
): readonly SinkConfig[] {
  const found = sinks.filter((sink) => name === undefined || sink.name === name);
  if (found.length > 0) return found;
  throw new MillraceError('USAGE', `there is no sink named ${name}`, {
    expected: `one of: ${sinks.map((sink) => sink.name).join(', ')}`,
  });
}

/** The topics of a table by its name in the source. Throws `USAGE`. */
export function tableNamed({ tables }: Pick<Topology, 'tables'>, name: string): TableTopics {
  const found = tables.find(({ table }) => table === name);
  if (found !== undefined) return found;
  throw new MillraceError('USAGE', `there is no table ${name} in this pipeline`, {
    expected: `one of: ${tables.map(({ table }) => table).join(', ')}`,
  });
}

function tableTopics(pipeline: string, table: string): TableTopics {
  return {
    table,
    raw: topicName(pipeline, table),
    changes: topicName(pipeline, table, 'changes'),
    latest: topicName(pipeline, table, 'latest'),
  };
}

function settings(config: Config, table: TableTopics): TopicSettings[] {
  const { rawRetention, changesRetention, tombstoneRetention } = config.topics;
  const shared = {
    partitions: config.partitions,
    retentionBytes: null,
    tombstoneRetentionMs: tombstoneRetention,
  };
  return [
    { ...shared, topic: table.raw, cleanup: 'delete', retentionMs: rawRetention },
    { ...shared, topic: table.changes, cleanup: 'delete', retentionMs: changesRetention },
    { ...shared, topic: table.latest, cleanup: 'compact', retentionMs: null },
  ];
}

/** Characters that a topic name cannot have become `_`, so two tables could meet in one topic. */
function refuseCollisions(tables: readonly TableTopics[]): void {
  const owner = new Map<TopicName, string>();
  for (const { table, raw, changes, latest } of tables) {
    for (const topic of [raw, changes, latest]) {
      const other = owner.get(topic);
      if (other !== undefined) {
        throw new MillraceError('CONFIG_INVALID', `${other} and ${table} would share a topic`, {
          place: `topic ${topic}`,
          expected: 'tables whose names differ in letters, digits, `_`, `-` and `.`',
          remedy: 'Give one of them to a pipeline of its own.',
        });
      }
      owner.set(topic, table);
    }
  }
}

/** The tables of a pipeline without asking its source: those named, or those that have topics. */
export function tablesOnTopics(config: Config, state: BrokerState): readonly string[] {
  const named = namedTables(config);
  if (named !== null) return named;
  const prefix = `${config.pipeline}.`;
  const topics = new Set<string>(state.topics.map(({ topic }) => topic));
  return [...topics]
    .filter((topic) => topic.startsWith(prefix) && topics.has(`${topic}.changes`))
    .map((topic) => topic.slice(prefix.length))
    .sort();
}
