import { existsSync } from 'node:fs';
import { topicName, type TopicSettings } from '../broker/broker.ts';
import { componentsOf, type ConfiguredComponents, tableOptions } from '../components.ts';
import type { Config } from '../config.ts';
import type { CapturedTable } from '../connectors/connector.ts';
import { findRunning, type Remote } from '../console/client.ts';
import { silent } from '../log.ts';
import { positionsTopic } from '../runtime/positions.ts';
import { type StagePlan, topologyOf } from '../runtime/topology.ts';
import type { SchemaRegistry } from '../schemas/registry.ts';
import { targetName, Targets } from '../sinks/target.ts';
import type { CliContext } from './terminal.ts';

export interface Plan {
  readonly pipeline: string;
  readonly stages: readonly StagePlan[];
  readonly tables: readonly TablePlan[];
  readonly topics: readonly (TopicSettings & { readonly state: TopicState })[];
}

/** `mismatch`: it exists with another number of partitions, so `run` will refuse it. */
export type TopicState = 'exists' | 'to be created' | 'mismatch';

export interface TablePlan {
  readonly table: string;
  readonly key: readonly string[];
  readonly columns: number;
  readonly sinks: readonly {
    readonly sink: string;
    readonly mode: 'merge' | 'append';
    /** Null where deletes are rows of their own. */
    readonly delete: 'hard' | 'soft' | null;
    readonly target: string;
    /** Null if the sink has no such table yet, or if the pipeline runs: then it follows by itself. */
    readonly pending: Awaited<ReturnType<ConfiguredComponents['pending']>>;
  }[];
  readonly notes: readonly string[];
}

/**
 * Asks the source and looks at the broker; where the pipeline runs it holds both, so it is asked.
 * Throws what the source throws: `SOURCE_…`.
 */
export async function planOf(config: Config, context: CliContext): Promise<Plan> {
  const running = await findRunning(config.broker.path, config.pipeline, context.signal);
  const captured = (await running?.tables()) ?? [];
  const tables = captured.length > 0 ? captured : await askSource(config, context);
  const topology = topologyOf(
    config,
    tables.map(({ table }) => table),
  );
  const components = componentsOf(config, context, silent);
  const existing = await existingTopics(config, running, context);
  return {
    pipeline: config.pipeline,
    stages: topology.stages,
    tables: await Promise.all(
      tables.map((table) => tablePlan(config, table, running === null ? components : null)),
    ),
    topics: topology.topics.map((topic) => ({
      ...topic,
      state: stateOf(topic, existing.get(topic.topic)),
    })),
  };
}

async function askSource(config: Config, context: CliContext): Promise<readonly CapturedTable[]> {
  const components = componentsOf(config, context, silent);
  await using connector = await components.openConnector(registersNothing);
  return await connector.plan(context.signal);
}

const registersNothing: SchemaRegistry = {
  register: (subject) => Promise.reject(new Error(`a plan registers nothing: ${subject}`)),
  byId: (id) => Promise.reject(new Error(`a plan reads no schemas: ${id}`)),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

/** Partitions by topic. */
async function existingTopics(
  config: Config,
  running: Remote | null,
  context: CliContext,
): Promise<ReadonlyMap<string, number>> {
  const { path } = config.broker;
  if (running !== null) {
    const { tables, besides } = await running.status();
    const topics = [positionsTopic, ...besides, ...tables.flatMap((table) => table.topics)];
    // It checked them when it started.
    return new Map(
      topics.map((topic) => [
        topic.topic,
        'partitions' in topic ? topic.partitions : config.partitions,
      ]),
    );
  }
  if (!existsSync(path)) return new Map();
  await using opened = await componentsOf(config, context, silent).openBroker();
  const { topics } = await opened.broker.describe();
  return new Map(topics.map(({ topic, partitions }) => [topic, partitions]));
}

function stateOf(topic: TopicSettings, partitions: number | undefined): TopicState {
  if (partitions === undefined) return 'to be created';
  return partitions === topic.partitions ? 'exists' : 'mismatch';
}

async function tablePlan(
  config: Config,
  { table, shape, notes }: CapturedTable,
  components: ConfiguredComponents | null,
): Promise<TablePlan> {
  const keyless = shape.key.length === 0;
  const changes = topicName(shape.topic, 'changes');
  const sinks = await Promise.all(
    config.sinks.map(async (sink) => {
      const tables = tableOptions(sink);
      const { pipeline: prefix } = config;
      const target = new Targets({ ...sink, tables, prefix }).of(changes);
      const mode = keyless ? 'append' : target.mode;
      return {
        sink: sink.name,
        mode,
        delete: mode === 'append' ? null : target.deletes,
        target: targetName(target),
        pending: components === null ? null : await components.pending(sink, shape),
      };
    }),
  );
  return { table, key: shape.key, columns: shape.columns.length, sinks, notes };
}
