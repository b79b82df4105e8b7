import { topicName, type TopicSettings } from '../broker/broker.ts';
import { componentsOf, type ConfiguredComponents, targetOptions } from '../components.ts';
import type { Config, SinkConfig } from '../config.ts';
import type { CapturedTable } from '../connectors/connector.ts';
import { findRunning, type Remote } from '../console/client.ts';
import { MillraceError } from '../errors.ts';
import { silent } from '../log.ts';
import { positionsTopic } from '../runtime/positions.ts';
import { lookAtSource } from '../runtime/source-look.ts';
import { type StagePlan, topologyOf } from '../runtime/topology.ts';
import type { TableShape } from '../schemas/envelope.ts';
import type { PendingChange } from '../sinks/evolution.ts';
import { targetName, type TargetOptions, Targets } from '../sinks/target.ts';
import { hasRun } from './has-run.ts';
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
  readonly sinks: readonly SinkPlan[];
  readonly notes: readonly string[];
}

export interface SinkPlan {
  readonly sink: string;
  readonly mode: 'merge' | 'append';
  /** Null where deletes are rows of their own. */
  readonly delete: 'hard' | 'soft' | null;
  readonly target: string;
  /** Null if the sink has no such table yet, or if it is not open in the process that runs it. */
  readonly pending: PendingChange | null;
}

/**
 * Asks the source, the broker and the sinks what `run` would find; where the pipeline runs, the process
 * that runs it answers for broker and sinks. Throws what the source throws: `SOURCE_…`.
 */
export async function planOf(config: Config, context: CliContext): Promise<Plan> {
  const { signal } = context;
  const running = await findRunning(config.broker.path, config.pipeline, signal);
  const components = componentsOf(config, context, silent);
  const tables = (await lookAtSource(components, { signal, beside: running !== null })) ?? [];
  const topology = topologyOf(
    config,
    tables.map(({ table }) => table),
  );
  const existing = await existingTopics(config, running, context);
  const sinks = await Promise.all(
    config.sinks.map((sink) => sinkPlans({ config, sink, tables }, { running, components })),
  );
  return {
    pipeline: config.pipeline,
    stages: topology.stages,
    tables: tables.map(({ table, shape, notes }, at) => ({
      table,
      key: shape.key,
      columns: shape.columns.length,
      sinks: sinks.flatMap((plans) => plans[at] ?? []),
      notes,
    })),
    topics: topology.topics.map((topic) => ({
      ...topic,
      state: stateOf(topic, existing.get(topic.topic)),
    })),
  };
}

/** What is known of a topic that exists. */
type Existing = Pick<TopicSettings, 'partitions'> & Partial<Pick<TopicSettings, 'cleanup'>>;

async function existingTopics(
  config: Config,
  running: Remote | null,
  context: CliContext,
): Promise<ReadonlyMap<string, Existing>> {
  if (running !== null) {
    const { tables, besides } = await running.status();
    const topics = [positionsTopic, ...besides, ...tables.flatMap((table) => table.topics)];
    // It checked them when it started.
    return new Map(
      topics.map((topic) => [
        topic.topic,
        'partitions' in topic ? topic : { partitions: config.partitions },
      ]),
    );
  }
  if (!hasRun(config)) return new Map();
  await using opened = await componentsOf(config, context, silent).openBroker();
  const { topics } = await opened.broker.describe();
  return new Map(topics.map((topic) => [topic.topic, topic]));
}

function stateOf(topic: TopicSettings, found: Existing | undefined): TopicState {
  if (found === undefined) return 'to be created';
  const { partitions, cleanup = topic.cleanup } = found;
  return partitions === topic.partitions && cleanup === topic.cleanup ? 'exists' : 'mismatch';
}

/** What becomes of each table in a sink. */
async function sinkPlans(
  of: {
    readonly config: Config;
    readonly sink: SinkConfig;
    readonly tables: readonly CapturedTable[];
  },
  by: { readonly running: Remote | null; readonly components: ConfiguredComponents },
): Promise<readonly SinkPlan[]> {
  const { config, sink, tables } = of;
  const options = targetOptions(sink, config.pipeline);
  const targets = new Targets(options);
  const shapes = tables.map(({ shape }) => shape);
  const pending =
    by.running === null
      ? await by.components.pending(sink, shapes)
      : await pendingIn(by.running, { sink: sink.name, options }, shapes);
  return shapes.map((shape, at) => {
    const target = targets.of(topicName(shape.topic, 'changes'));
    const mode = shape.key.length === 0 ? 'append' : target.mode;
    return {
      sink: sink.name,
      mode,
      delete: mode === 'append' ? null : target.deletes,
      target: targetName(target),
      pending: pending[at] ?? null,
    };
  });
}

/** By the process that has the sink open; nothing of a sink that is new in the configuration. */
async function pendingIn(
  running: Remote,
  of: { readonly sink: string; readonly options: TargetOptions },
  shapes: readonly TableShape[],
): Promise<(PendingChange | null)[]> {
  const found: (PendingChange | null)[] = [];
  for (const shape of shapes) {
    const pending = await running.pending({ ...of, shape }).catch((error: unknown) => {
      if (error instanceof MillraceError && error.code === 'NOT_RUNNING') return null;
      throw error;
    });
    found.push(pending);
  }
  return found;
}
