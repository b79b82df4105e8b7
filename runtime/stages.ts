import type { Broker } from '../broker/broker.ts';
import type { Config, SinkConfig } from '../config.ts';
import type { SchemaRegistry } from '../schemas/registry.ts';
import type { ParkedTable } from '../sinks/sink.ts';
import type { Components, QueryableSink } from './components.ts';
import type { Reach } from './failpoints.ts';
import { processorLoop, sinkLoop, sourceLoop } from './loops.ts';
import type { Positions } from './positions.ts';
import type { SinkTables } from './sink-tables.ts';
import type { SourceView } from './source-view.ts';
import type { StageMeter } from './stage-meter.ts';
import { sinkStage, type StagePlan } from './topology.ts';

/** What all stages of a pipeline share. */
export interface StageContext {
  readonly config: Config;
  readonly components: Components;
  readonly broker: Broker;
  readonly registry: SchemaRegistry;
  readonly positions: Positions;
  readonly reach: Reach;
  readonly source: SourceView;
  /** Sinks that are open, by name: whom a query goes to. */
  readonly sinks: Map<string, QueryableSink>;
  /** Tables of each sink of the configuration, by its name. */
  readonly tables: ReadonlyMap<string, SinkTables>;
  /** The snapshot is taken anew: what topics have forgotten is not missed. */
  readonly startOver: boolean;
  readonly onParked: (sink: string, table: ParkedTable) => void;
  /** Ends writes that are under way: the stop has taken too long. */
  readonly halt: AbortSignal;
}

/** One life of a stage: opens its part, works until the signal aborts or it fails, closes it. */
export type StageLife = (signal: AbortSignal) => Promise<void>;

/** Bytes that a processor takes at once, at most. */
const PROCESSOR_BYTES_MAX = 3 * 1024 * 1024;

/** What a stage of the topology does. */
export function lifeOf(context: StageContext, plan: StagePlan, meter: StageMeter): StageLife {
  switch (plan.kind) {
    case 'source':
      return sourceLife(context, meter);
    case 'processor':
      return processorLife(context, plan, meter);
    case 'sink': {
      const sink = context.config.sinks.find((candidate) => sinkStage(candidate) === plan.name);
      if (sink === undefined) throw new TypeError(`no sink for stage ${plan.name}`);
      return sinkLife(context, { stage: plan, sink }, meter);
    }
  }
}

export function sourceLife(context: StageContext, meter: StageMeter): StageLife {
  const { broker, components, config, positions, reach, source } = context;
  const producer = `${config.pipeline}.source`;
  return async (signal) => {
    const observer = {
      ...source.observer,
      onLost: (error: Error) => meter.failed(error, 'retrying'),
      onConnected: () => meter.ready(),
    };
    await broker.fence(producer);
    const fresh = await positions.newTables(signal);
    await using connector = await components.openConnector(context.registry, observer, fresh);
    source.captured = await connector.plan(signal);
    meter.ready();
    source.connector = connector;
    try {
      await sourceLoop(connector, { broker, meter, reach, positions, producer }, signal);
    } finally {
      source.connector = null;
    }
  };
}

export function processorLife(
  context: StageContext,
  plan: StagePlan,
  meter: StageMeter,
): StageLife {
  const { broker, components, reach, startOver } = context;
  const subscription = {
    group: groupOf(plan),
    topics: plan.inputs,
    bytesMax: PROCESSOR_BYTES_MAX,
    publishes: true,
  };
  return async (signal) => {
    await using processor = await components.openProcessor(context.registry);
    const stage = { broker, meter, reach, subscription, acceptGaps: startOver };
    await processorLoop(processor, stage, signal);
  };
}

export function sinkLife(
  context: StageContext,
  plan: { readonly stage: StagePlan; readonly sink: SinkConfig },
  meter: StageMeter,
): StageLife {
  const { broker, components, reach, halt, sinks, startOver: acceptGaps } = context;
  const { name, batchBytesMax, batchRowsMax } = plan.sink;
  const tables = context.tables.get(name);
  if (tables === undefined) throw new TypeError(`no tables of sink ${name}`);
  const subscription = {
    group: groupOf(plan.stage),
    topics: plan.stage.inputs,
    bytesMax: batchBytesMax,
    recordsMax: batchRowsMax,
  };
  const parked = (table: ParkedTable): void => context.onParked(name, table);
  return async (signal) => {
    await using sink = await components.openSink(plan.sink, context.registry);
    sinks.set(name, sink);
    try {
      const stage = { broker, meter, reach, subscription, acceptGaps, halt, tables, parked };
      await sinkLoop(sink, stage, signal);
    } finally {
      sinks.delete(name);
    }
  };
}

function groupOf(plan: StagePlan): string {
  if (plan.group === null) throw new TypeError(`stage ${plan.name} reads no topics`);
  return plan.group;
}
