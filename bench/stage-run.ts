import { componentsOf } from '../components.ts';
import type { Config } from '../config.ts';
import { silent } from '../log.ts';
import { systemClock } from '../runtime/clock.ts';
import type { Components } from '../runtime/components.ts';
import { inert } from '../runtime/failpoints.ts';
import { Positions } from '../runtime/positions.ts';
import { SinkTables } from '../runtime/sink-tables.ts';
import { SourceView } from '../runtime/source-view.ts';
import { StageMeter } from '../runtime/stage-meter.ts';
import type { StageKind } from '../runtime/stage.ts';
import {
  processorLife,
  sinkLife,
  sourceLife,
  type StageContext,
  type StageLife,
} from '../runtime/stages.ts';
import { namedTables, topologyOf, type StagePlan } from '../runtime/topology.ts';

/** One stage of a pipeline alone, by the very loop that `millrace run` runs. */
export interface StageRun extends AsyncDisposable {
  /** Starts the stage and resolves when it has made that many changes durable. */
  work(changes: number): Promise<void>;
  /** Records that the stage's group has not done yet, in its input topics. */
  behind(): Promise<number>;
}

export interface StageOptions {
  /** False: the source is not told what is durable, so the next run finds the same backlog. */
  readonly acknowledge?: boolean;
}

export async function openStage(
  config: Config,
  kind: StageKind,
  options: StageOptions = {},
): Promise<StageRun> {
  const components = componentsOf(config, { environment: {} }, silent);
  const opened = await components.openBroker();
  const topology = topologyOf(config, namedTables(config) ?? []);
  await opened.broker.createTopics(topology.topics);
  const plan = topology.stages.find((stage) => stage.kind === kind) as StagePlan;
  const progress = new Progress();
  const meter = new StageMeter(plan, {
    instruments: { batch: ({ changes }) => progress.add(changes), error: () => {}, up: () => {} },
    passing: { finished: () => {} },
    clock: systemClock,
  });
  const stop = new AbortController();
  const context: StageContext = {
    config,
    components: options.acknowledge === false ? deaf(components) : components,
    broker: opened.broker,
    registry: opened.registry,
    positions: new Positions(opened.broker, config.pipeline),
    reach: inert,
    startOver: false,
    onParked: (sink, { table, code, message }) => {
      throw new Error(`${sink} has parked ${table}: ${code}: ${message}`);
    },
    source: new SourceView(),
    sinks: new Map(),
    tables: new Map(config.sinks.map(({ name }) => [name, new SinkTables()])),
    halt: new AbortController().signal,
  };
  let life: Promise<void> = Promise.resolve();
  return {
    work: (changes) => {
      life = lifeOf(context, plan, meter)(stop.signal);
      return Promise.race([progress.reaches(changes), life.then(() => ended(kind))]);
    },
    behind: async () => {
      const state = await opened.broker.describe();
      const offsets = state.topics.filter(({ topic }) => plan.inputs.includes(topic));
      const end = offsets.flatMap((topic) => topic.offsets).reduce((sum, { end }) => sum + end, 0);
      const group = state.groups.find((candidate) => candidate.group === plan.group);
      return end - (group?.committed ?? []).reduce((sum, { next }) => sum + next, 0);
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await life;
      await opened[Symbol.asyncDispose]();
    },
  };
}

function lifeOf(context: StageContext, plan: StagePlan, meter: StageMeter): StageLife {
  switch (meter.kind) {
    case 'source':
      return sourceLife(context, meter);
    case 'processor':
      return processorLife(context, plan, meter);
    case 'sink': {
      const [sink] = context.config.sinks;
      if (sink === undefined) throw new Error('a configuration has a sink');
      return sinkLife(context, { stage: plan, sink }, meter);
    }
  }
}

function ended(kind: StageKind): never {
  throw new Error(`the ${kind} ended before its work was done`);
}

function deaf(components: Components): Components {
  return {
    ...components,
    openConnector: async (registry, ...observed) => {
      const connector = await components.openConnector(registry, ...observed);
      return {
        plan: (signal) => connector.plan(signal),
        changes: (after, signal) => connector.changes(after, signal),
        ack: () => Promise.resolve(),
        [Symbol.asyncDispose]: () => connector[Symbol.asyncDispose](),
      };
    },
  };
}

/** Counts changes and tells when there have been enough. */
class Progress {
  #count = 0;
  #wanted = Infinity;
  #tell: () => void = () => {};

  add(changes: number): void {
    this.#count += changes;
    if (this.#count >= this.#wanted) this.#tell();
  }

  reaches(wanted: number): Promise<void> {
    this.#wanted = wanted;
    return new Promise((resolve) => {
      this.#tell = resolve;
    });
  }
}
