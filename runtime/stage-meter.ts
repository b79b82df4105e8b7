import type { RecordBatch } from '../broker/broker.ts';
import { RecordCursor } from '../broker/records.ts';
import type { ChangeBatch } from '../connectors/connector.ts';
import { MillraceError } from '../errors.ts';
import type { Clock } from './clock.ts';
import type { StageInstruments } from './metrics.ts';
import { Rate } from './rate.ts';
import type { StageError, StageKind, StageState } from './stage.ts';

/** Told of changes that have passed this stage, by the commit time of the newest; `now` is elapsed time. */
export interface Passing {
  readonly received?: (committedAt: number, now: number, lagMs: number) => void;
  readonly finished: (committedAt: number, now: number) => void;
}

/** What a stage is doing and how fast: fed by its loop, read by `status`, health and metrics. */
export class StageMeter {
  readonly name: string;
  readonly kind: StageKind;
  state: StageState = 'starting';
  lastError: StageError | null = null;
  errors = 0;
  changes = 0;
  /** When the batch in hand was taken, in elapsed time; null between batches. */
  busySince: number | null = null;
  /** Since the stage was last opened. */
  batches = 0;
  readonly #rate: Rate;
  readonly #instruments: StageInstruments;
  readonly #passing: Passing;
  readonly #clock: Clock;
  #bytes = 0;
  #records = 0;
  #newest: number | null = null;

  constructor(
    stage: { readonly name: string; readonly kind: StageKind },
    wiring: {
      readonly instruments: StageInstruments;
      readonly passing: Passing;
      readonly clock: Clock;
    },
  ) {
    this.name = stage.name;
    this.kind = stage.kind;
    this.#instruments = wiring.instruments;
    this.#passing = wiring.passing;
    this.#clock = wiring.clock;
    this.#rate = new Rate(wiring.clock.elapsed);
    this.#state('starting');
  }

  get open(): boolean {
    return this.state !== 'stopped' && this.state !== 'failed';
  }

  get perSecond(): number {
    return this.#rate.perSecond();
  }

  opening(): void {
    this.batches = 0;
    this.#state('starting');
  }

  ready(): void {
    this.#state('running');
  }

  stopped(): void {
    this.busySince = null;
    this.#state('stopped');
  }

  failed(error: unknown, state: 'retrying' | 'failed'): void {
    this.busySince = null;
    this.errors++;
    const code = error instanceof MillraceError ? error.code : 'UNEXPECTED';
    const message = error instanceof Error ? error.message : String(error);
    this.lastError = { code, message, at: this.#clock.wall() };
    this.#instruments.error(code);
    this.#state(state);
  }

  /** A source has read a batch. */
  received(batch: ChangeBatch): void {
    const now = this.#clock.elapsed();
    this.busySince = now;
    this.#bytes = batch.outgoing.reduce((sum, { records }) => sum + records.bytes, 0);
    const { committedAt } = batch;
    if (committedAt === null) return;
    this.#passing.received?.(committedAt, now, this.#clock.wall() - committedAt);
  }

  /** A processor or a sink has been given batches. */
  delivered(batches: readonly RecordBatch[]): void {
    this.busySince = this.#clock.elapsed();
    this.#bytes = 0;
    this.#records = 0;
    this.#newest = null;
    for (const batch of batches) {
      this.#bytes += batch.bytes;
      this.#records += batch.count;
      if (this.kind === 'processor') this.#newest = Math.max(this.#newest ?? 0, newestOf(batch));
    }
  }

  /** The batch in hand is durable where it belongs. */
  finished(done: { readonly changes: number; readonly committedAt: number | null }): void {
    const now = this.#clock.elapsed();
    this.changes += done.changes;
    this.batches++;
    this.#rate.add(done.changes);
    this.#instruments.batch({
      changes: done.changes,
      bytes: this.#bytes,
      seconds: (now - (this.busySince ?? now)) / 1000,
    });
    this.busySince = null;
    if (done.committedAt !== null) this.#passing.finished(done.committedAt, now);
  }

  finishedDelivery(): void {
    this.finished({ changes: this.#records, committedAt: this.#newest });
  }

  #state(state: StageState): void {
    this.state = state;
    this.#instruments.up(state === 'running');
  }
}

/** Records of a partition come in order, so the last one of a batch is as new as any. */
function newestOf(batch: RecordBatch): number {
  const bytes = batch.segments.at(-1)?.bytes;
  if (bytes === undefined) return 0;
  const cursor = new RecordCursor(bytes);
  let newest = 0;
  while (cursor.next()) newest = cursor.timestamp;
  return newest;
}
