import type { Broker } from '../broker/broker.ts';
import type { Config } from '../config.ts';
import type { CapturedTable, CopyRequest } from '../connectors/connector.ts';
import { MillraceError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { SchemaRegistry } from '../schemas/registry.ts';
import type {
  Components,
  QueryableSink,
  QueryOptions,
  QueryResult,
  SnapshotProgress,
} from './components.ts';
import { DrainDeadline } from './drain.ts';
import { inert, type Reach } from './failpoints.ts';
import { unhealthy, unready } from './health.ts';
import { LagTrace } from './lag.ts';
import { Metrics } from './metrics.ts';
import { PipelineTables } from './pipeline-tables.ts';
import { Positions } from './positions.ts';
import { untilStopped } from './retry.ts';
import { SourceView } from './source-view.ts';
import { type Passing, StageMeter } from './stage-meter.ts';
import {
  processorLife,
  sinkLife,
  sourceLife,
  type StageContext,
  type StageLife,
} from './stages.ts';
import { behindRecords, besideStatus, type Status, tableStatus } from './status.ts';
import { namedTables, sinkStage, type StagePlan, type Topology, topologyOf } from './topology.ts';

export interface RunOptions {
  readonly log: Log;
  readonly pid: number;
  /** Forget the source's position and begin with a new snapshot. */
  readonly startOver?: boolean;
  readonly reach?: Reach;
  readonly now?: () => number;
}

/** A pipeline with its broker open: made by {@link openPipeline}, runs once. */
export class Pipeline implements AsyncDisposable {
  readonly topology: Topology;
  /** The tables of its sinks: which are parked, and what is to be done about them. */
  readonly tables: PipelineTables;
  readonly metrics: Metrics;
  readonly #context: StageContext;
  readonly #options: RunOptions;
  readonly #now: () => number;
  readonly #startedAt: number;
  readonly #meters: readonly StageMeter[];
  readonly #lag: LagTrace;
  readonly #source = new SourceView();
  readonly #sinks = new Map<string, QueryableSink>();
  readonly #halt = new AbortController();
  readonly #opened: AsyncDisposable;

  constructor(
    opened: { broker: Broker; registry: SchemaRegistry } & AsyncDisposable,
    parts: {
      readonly config: Config;
      readonly components: Components;
      readonly topology: Topology;
    },
    options: RunOptions,
  ) {
    const { config, components, topology } = parts;
    const { broker, registry } = opened;
    const { reach = inert, startOver } = options;
    this.#opened = opened;
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#startedAt = this.#now();
    this.topology = topology;
    this.metrics = new Metrics(config.pipeline);
    this.#lag = new LagTrace(config.sinks.map((sink) => sink.name));
    this.#meters = this.topology.stages.map((stage) => this.#meter(stage));
    this.tables = new PipelineTables(config, topology);
    this.#context = {
      config,
      components,
      broker,
      registry,
      reach,
      positions: new Positions(broker, config.pipeline, {
        startOver: startOver ?? false,
        tables: topology.tables.map(({ table }) => table),
      }),
      source: this.#source,
      sinks: this.#sinks,
      tables: this.tables.bySink,
      onParked: (sink, table) => options.log.warn({ sink, ...table }, 'a table is parked'),
      halt: this.#halt.signal,
    };
  }

  /**
   * Runs all stages until the signal aborts, then lets each finish its batch in hand (I8). Rejects
   * with the first error that is not to be retried, when the other stages have stopped as well; with
   * `DRAIN_TIMEOUT` when they do not stop in time.
   */
  async run(signal: AbortSignal): Promise<void> {
    const failure = new AbortController();
    const stop = AbortSignal.any([signal, failure.signal]);
    const stages = this.#meters.map((meter) =>
      this.#supervise(meter, stop).catch((error: unknown) => failure.abort(error)),
    );
    using drained = new DrainDeadline(stop, this.#halt, {
      timeoutMs: this.#context.config.drainTimeout,
      busy: () => this.#meters.filter((meter) => meter.open).map((meter) => meter.name),
    });
    try {
      await Promise.race([Promise.all(stages), drained.expired]);
    } finally {
      // What stopped the pipeline matters more than how long the stop took.
      failure.signal.throwIfAborted();
    }
  }

  /** The tables as the source has them; empty until it has answered. */
  get captured(): readonly CapturedTable[] {
    return this.#source.captured;
  }

  /** How far the snapshot is; null if there was none since the start. */
  get snapshot(): SnapshotProgress | null {
    return this.#source.snapshot;
  }

  async status(): Promise<Status> {
    const { broker, positions } = this.#context;
    const state = await broker.describe();
    return {
      pipeline: this.topology.pipeline,
      running: true,
      pid: this.#options.pid,
      startedAt: this.#startedAt,
      stages: this.topology.stages.map((plan, index) => {
        const meter = this.#meters[index] as StageMeter;
        return {
          stage: plan.name,
          kind: plan.kind,
          state: meter.state,
          position: plan.kind === 'source' ? positions.last : null,
          behindRecords: behindRecords(plan, state),
          changesPerSecond: Math.round(meter.perSecond),
          changes: meter.changes,
          errors: meter.errors,
          lastError: meter.lastError,
        };
      }),
      lag: this.#context.config.sinks.map(({ name }) => ({
        sink: name,
        ...this.#lag.lag(name, this.#now()),
      })),
      snapshot: this.#source.snapshot,
      copies: this.#source.copies,
      source: this.#source.health,
      tables: tableStatus(this.topology, state),
      besides: besideStatus(this.topology, state),
      parked: this.tables.parked(state),
    };
  }

  /** Reasons why the process should be restarted; none if it is alive. */
  unhealthy(): string[] {
    return unhealthy(this.#meters, this.#now());
  }

  /** Reasons why changes do not flow now; none if every stage runs. */
  unready(): string[] {
    return unready(this.#meters);
  }

  /** In the text format of Prometheus, with the gauges of this moment. */
  async metricsText(): Promise<string> {
    this.metrics.set(await this.status());
    return this.metrics.text();
  }

  /** Asks a sink; the first one if none is named. Throws `QUERY_FAILED`, `NOT_RUNNING`. */
  async query(
    sql: string,
    { sink: name, ...options }: QueryOptions & { readonly sink?: string } = {},
  ): Promise<QueryResult> {
    const sink = name === undefined ? this.#sinks.values().next().value : this.#sinks.get(name);
    if (sink?.query === undefined) {
      throw new MillraceError('NOT_RUNNING', 'no sink is open that could be asked', {
        place: name === undefined ? 'any sink' : `sink ${name}`,
        expected: `one of: ${this.#context.config.sinks.map((sink) => sink.name).join(', ')}`,
      });
    }
    return sink.query(sql, options);
  }

  /** Copies a table again, or controls that: see {@link SourceView.copy}. */
  copy(request: CopyRequest, signal: AbortSignal): Promise<void> {
    return this.#source.copy(request, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Stages that did not stop in time still hold the broker; the process ends without them.
    if (!this.#halt.signal.aborted) await this.#opened[Symbol.asyncDispose]();
  }

  #meter(stage: StagePlan): StageMeter {
    const lag = this.#lag;
    const { kind, name } = stage;
    const passing: Passing =
      kind === 'source'
        ? { received: lag.read.bind(lag), finished: lag.raw.bind(lag) }
        : kind === 'processor'
          ? { finished: lag.changes.bind(lag) }
          : { finished: (at, now) => lag.applied(name.slice('sink:'.length), at, now) };
    return new StageMeter(stage, {
      instruments: this.metrics.stage(stage),
      passing,
      now: this.#now,
    });
  }

  #life(meter: StageMeter): StageLife {
    const plan = this.topology.stages[this.#meters.indexOf(meter)] as StagePlan;
    switch (meter.kind) {
      case 'source':
        return sourceLife(this.#context, meter);
      case 'processor':
        return processorLife(this.#context, plan, meter);
      case 'sink': {
        const { sinks } = this.#context.config;
        const sink = sinks.find((candidate) => sinkStage(candidate) === plan.name);
        if (sink === undefined) throw new TypeError(`no sink for stage ${plan.name}`);
        return sinkLife(this.#context, { stage: plan, sink }, meter);
      }
    }
  }

  async #supervise(meter: StageMeter, signal: AbortSignal): Promise<void> {
    const life = this.#life(meter);
    const { log } = this.#options;
    const run = async (): Promise<void> => {
      meter.opening();
      await life(signal);
    };
    try {
      await untilStopped(run, {
        signal,
        progressed: () => meter.batches > 0,
        failed: (error, waitMs) => {
          meter.failed(error, 'retrying');
          log.warn({ stage: meter.name, ...meter.lastError, waitMs }, 'the stage will try again');
        },
      });
      meter.stopped();
    } catch (error) {
      meter.failed(error, 'failed');
      throw error;
    }
  }
}

/**
 * Opens the broker and creates what topics are missing. Where the tables are patterns, the source is
 * asked which there are; then it must answer.
 */
export async function openPipeline(
  config: Config,
  components: Components,
  options: RunOptions & { readonly signal: AbortSignal },
): Promise<Pipeline> {
  await using stack = new AsyncDisposableStack();
  const opened = stack.use(await components.openBroker());
  const tables = namedTables(config) ?? (await askSource(opened.registry, components, options));
  const topology = topologyOf(config, tables);
  await opened.broker.createTopics(topology.topics);
  stack.move();
  return new Pipeline(opened, { config, components, topology }, options);
}

async function askSource(
  registry: SchemaRegistry,
  components: Components,
  { signal }: { readonly signal: AbortSignal },
): Promise<string[]> {
  await using connector = await components.openConnector(registry);
  return (await connector.plan(signal)).map(({ table }) => table);
}
