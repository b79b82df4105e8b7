import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { StageKind } from './stage.ts';
import type { Status } from './status.ts';

/**
 * Every metric by name, with its meaning: an interface that dashboards hang on, so a test holds the
 * list. Base units; `_total` only ever grows. Process and Node figures come beside them as
 * `millrace_process_…` and `millrace_nodejs_…`.
 */
export const metricNames = {
  millrace_changes_total: 'Changes that a stage has made durable.',
  millrace_batches_total: 'Batches that a stage has made durable.',
  millrace_bytes_total: 'Bytes of the records in those batches.',
  millrace_batch_duration_seconds: 'From taking a batch to its durability.',
  millrace_errors_total: 'Errors of a stage by code, those that were retried as well.',
  millrace_stage_up: '1 while a stage runs, 0 while it starts, waits to retry or has ended.',
  millrace_lag_seconds:
    'Lag per hop on the way to a sink; hops read, raw, changes and applied add up to total.',
  millrace_behind_records: 'Records in its input topics that a stage has not done yet.',
  millrace_parked_tables: 'Tables that a sink does not write to until they are resumed or rebuilt.',
  millrace_parked_records: 'Records that wait for a parked table.',
  millrace_topic_bytes: 'Bytes that a topic holds.',
  millrace_snapshot_rows: 'Rows of a table copied by the running or last snapshot.',
  millrace_snapshot_rows_estimated: 'Rows that the table was estimated to have.',
  millrace_copy_rows: 'Rows of a table copied while it is streamed.',
  millrace_copy_failed: '1 if that copy has failed and waits to be resumed or cancelled.',
  millrace_source_retained_bytes: 'Bytes of history that the source keeps for this pipeline.',
  millrace_source_safe_bytes:
    'Bytes that it may write before it could give the pipeline up; absent without a limit.',
  millrace_source_at_risk: '1 if the source may forget changes before they are read, or has.',
} as const;

type Name = keyof typeof metricNames;

export interface StageInstruments {
  batch(done: { readonly changes: number; readonly bytes: number; readonly seconds: number }): void;
  error(code: string): void;
  up(running: boolean): void;
}

const stageLabels = ['pipeline', 'stage', 'kind'] as const;

/** The metrics of one pipeline, in a registry of their own. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #pipeline: string;
  readonly #changes = this.#counter('millrace_changes_total', stageLabels);
  readonly #batches = this.#counter('millrace_batches_total', stageLabels);
  readonly #bytes = this.#counter('millrace_bytes_total', stageLabels);
  readonly #errors = this.#counter('millrace_errors_total', [...stageLabels, 'code']);
  readonly #up = this.#gauge('millrace_stage_up', stageLabels);
  readonly #duration: Histogram;
  readonly #lag = this.#gauge('millrace_lag_seconds', ['pipeline', 'sink', 'hop']);
  readonly #behind = this.#gauge('millrace_behind_records', ['pipeline', 'stage']);
  readonly #parkedTables = this.#gauge('millrace_parked_tables', ['pipeline', 'sink']);
  readonly #parkedRecords = this.#gauge('millrace_parked_records', ['pipeline', 'sink', 'table']);
  readonly #topicBytes = this.#gauge('millrace_topic_bytes', ['pipeline', 'topic']);
  readonly #snapshot = this.#gauge('millrace_snapshot_rows', ['pipeline', 'table']);
  readonly #copied = this.#gauge('millrace_copy_rows', ['pipeline', 'table']);
  readonly #copyFailed = this.#gauge('millrace_copy_failed', ['pipeline', 'table']);
  readonly #retained = this.#gauge('millrace_source_retained_bytes', ['pipeline']);
  readonly #safe = this.#gauge('millrace_source_safe_bytes', ['pipeline']);
  readonly #atRisk = this.#gauge('millrace_source_at_risk', ['pipeline']);
  readonly #estimated = this.#gauge('millrace_snapshot_rows_estimated', ['pipeline', 'table']);

  constructor(pipeline: string) {
    this.#pipeline = pipeline;
    const name = 'millrace_batch_duration_seconds';
    this.#duration = new Histogram({
      name,
      help: metricNames[name],
      labelNames: stageLabels,
      buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers: [this.#registry],
    });
    collectDefaultMetrics({ register: this.#registry, prefix: 'millrace_' });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  stage(stage: { readonly name: string; readonly kind: StageKind }): StageInstruments {
    const labels = { pipeline: this.#pipeline, stage: stage.name, kind: stage.kind };
    const changes = this.#changes.labels(labels);
    const batches = this.#batches.labels(labels);
    const bytes = this.#bytes.labels(labels);
    const duration = this.#duration.labels(labels);
    const up = this.#up.labels(labels);
    return {
      batch(done) {
        changes.inc(done.changes);
        batches.inc();
        bytes.inc(done.bytes);
        duration.observe(done.seconds);
      },
      error: (code) => this.#errors.labels({ ...labels, code }).inc(),
      up: (running) => up.set(running ? 1 : 0),
    };
  }

  /** Sets what is a state and not a count. */
  set(
    status: Pick<Status, 'lag' | 'stages' | 'tables' | 'snapshot' | 'parked' | 'copies' | 'source'>,
  ): void {
    const pipeline = this.#pipeline;
    for (const { sink, ...hops } of status.lag) {
      for (const [hop, seconds] of Object.entries(hops)) {
        if (seconds !== null) this.#lag.set({ pipeline, sink, hop }, seconds);
      }
    }
    for (const { stage, behindRecords } of status.stages) {
      if (behindRecords !== null) this.#behind.set({ pipeline, stage }, behindRecords);
    }
    this.#parkedTables.reset();
    this.#parkedRecords.reset();
    for (const { sink } of status.lag) this.#parkedTables.set({ pipeline, sink }, 0);
    for (const { sink, table, waitingRecords } of status.parked) {
      this.#parkedTables.inc({ pipeline, sink });
      this.#parkedRecords.set({ pipeline, sink, table }, waitingRecords);
    }
    for (const { topic, bytes } of status.tables.flatMap((table) => table.topics)) {
      this.#topicBytes.set({ pipeline, topic }, bytes);
    }
    for (const { table, rows, rowsEstimated } of status.snapshot?.tables ?? []) {
      this.#snapshot.set({ pipeline, table }, rows);
      this.#estimated.set({ pipeline, table }, rowsEstimated);
    }
    for (const { table, rows, state } of status.copies) {
      this.#copied.set({ pipeline, table }, rows);
      this.#copyFailed.set({ pipeline, table }, state === 'failed' ? 1 : 0);
    }
    if (status.source === null) return;
    const { retainedBytes, safeBytes, atRisk } = status.source;
    this.#retained.set({ pipeline }, retainedBytes);
    if (safeBytes !== null) this.#safe.set({ pipeline }, safeBytes);
    this.#atRisk.set({ pipeline }, atRisk ? 1 : 0);
  }

  /** In the text format of Prometheus. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #counter(name: Name, labelNames: readonly string[]): Counter {
    const help = metricNames[name];
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }

  #gauge(name: Name, labelNames: readonly string[]): Gauge {
    const help = metricNames[name];
    return new Gauge({ name, help, labelNames, registers: [this.#registry] });
  }
}
