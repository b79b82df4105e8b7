import type { Broker } from '../broker/broker.ts';
import type { Config } from '../config.ts';
import type { CapturedTable, CopyRequest } from '../connectors/connector.ts';
import { MillraceError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { SchemaRegistry } from '../schemas/registry.ts';
import type { TableShape } from '../schemas/envelope.ts';
import type { PendingChange } from '../sinks/evolution.ts';
import type { TableHeld } from '../sinks/sink.ts';
import type { TargetOptions } from '../sinks/target.ts';
import type {
  Components,
  QueryableSink,
  QueryOptions,
  QueryResult,
  SnapshotProgress,
} from './components.ts';
import { type Clock, systemClock } from './clock.ts';
import { deliveries, type Delivery } from './deliveries.ts';
import { DrainDeadline } from './drain.ts';
import { inert, type Reach } from './failpoints.ts';
import { unhealthy, unready } from './health.ts';
import { LagTrace } from './lag.ts';
import { Metrics } from './metrics.ts';
import { PipelineTables } from './pipeline-tables.ts';
import { Positions } from './positions.ts';
import { untilStopped } from './retry.ts';
import { lookAtSource } from './source-look.ts';
import { SourceView } from './source-view.ts';
import { type Passing, StageMeter } from './stage-meter.ts';
import { lifeOf, type StageContext } from './stages.ts';
import { behindRecords, besideStatus, type Status, tableStatus } from './status.ts';
import { namedTables, type StagePlan, type Topology, topologyOf } from './topology.ts';

export interface RunOptions {
  readonly log: Log;
  readonly pid: number;
  /** Forget the source's position and begin with a new snapshot. */
  readonly startOver?: boolean;
  readonly reach?: Reach;
  readonly clock?: Clock;
}

/** A pipeline with its broker open: made by {@link openPipeline}, runs once. */
export class Pipeline implements AsyncDisposable {
  readonly topology: Topology;
  /** The tables of its sinks: which are parked, and what is to be done about them. */
  readonly tables: PipelineTables;
  readonly metrics: Metrics;
  readonly #context: StageContext;
  readonly #options: RunOptions;
  readonly #clock: Clock;
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
    const { reach = inert, startOver = false } = options;
    this.#opened = opened;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#startedAt = this.#clock.wall();
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
      startOver,
      positions: new Positions(broker, config.pipeline, {
        startOver,
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
        ...this.#lag.lag(name, this.#clock.elapsed()),
      })),
      snapshot: this.#source.snapshot,
      copies: this.#source.copies,
      source: this.#source.health,
      tables: tableStatus(this.topology, state),
      besides: besideStatus(this.topology, state),
      parked: this.tables.parked(state),
      rebuilds: this.tables.rebuilds,
    };
  }

  /** How much of each table each sink has, and how much is on its way. */
  async deliveries(signal: AbortSignal): Promise<Delivery[]> {
    const held = new Map<string, readonly TableHeld[]>();
    for (const [name, sink] of this.#sinks) held.set(name, (await sink.held?.()) ?? []);
    const { broker } = this.#context;
    return deliveries({ broker, topology: this.topology, held, now: this.#clock.wall() }, signal);
  }

  /** Reasons why the process should be restarted; none if it is alive. */
  unhealthy(): string[] {
    return unhealthy(this.#meters, this.#clock.elapsed());
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
    const sink = this.#asked(name);
    if (sink.query === undefined) throw new MillraceError('QUERY_FAILED', 'the sink takes no SQL');
    return sink.query(sql, options);
  }

  #asked(name: string | undefined): QueryableSink {
    const sink = name === undefined ? this.#sinks.values().next().value : this.#sinks.get(name);
    if (sink !== undefined) return sink;
    throw new MillraceError('NOT_RUNNING', 'no sink is open that could be asked', {
      place: name === undefined ? 'any sink' : `sink ${name}`,
      expected: `one of: ${this.#context.config.sinks.map((sink) => sink.name).join(', ')}`,
    });
  }

  /**
   * What the next rows of a table will do to its columns in a sink; null if it has no such table, or
   * cannot say. Throws `NOT_RUNNING`.
   */
  async pending(
    sink: string,
    options: TargetOptions,
    shape: TableShape,
  ): Promise<PendingChange | null> {
    return (await this.#asked(sink).pending?.(options, shape)) ?? null;
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
      clock: this.#clock,
    });
  }

  async #supervise(meter: StageMeter, signal: AbortSignal): Promise<void> {
    const plan = this.topology.stages[this.#meters.indexOf(meter)] as StagePlan;
    const life = lifeOf(this.#context, plan, meter);
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
 * Asks the source whether it can be captured, then opens the broker and creates what topics are missing:
 * a source that cannot be captured leaves no trace. Throws what the source throws, all of it at once.
 */
export async function openPipeline(
  config: Config,
  components: Components,
  options: RunOptions & { readonly signal: AbortSignal; readonly patient?: boolean },
): Promise<Pipeline> {
  const { signal, patient = false } = options;
  const named = namedTables(config);
  // Which tables a pattern means only the source can say.
  const found = await lookAtSource(components, { signal, patient: patient && named !== null });
  await using stack = new AsyncDisposableStack();
  const opened = stack.use(await components.openBroker());
  const topology = topologyOf(config, named ?? (found ?? []).map(({ table }) => table));
  await opened.broker.createTopics(topology.topics);
  stack.move();
  return new Pipeline(opened, { config, components, topology }, options);
}
