import { setTimeout as sleep } from 'node:timers/promises';
import { OutgoingBuffer } from '../../broker/outgoing-buffer.ts';
import { MillraceError } from '../../errors.ts';
import type { ChangeBatch } from '../connector.ts';
import { tableByName, type CataloguedTable } from './catalogue.ts';
import { snapshotEvent, type ChangeEvent } from './change-event.ts';
import { Connection } from './connection.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import { CopyDecoder } from './copy-binary.ts';
import { endOfLog, heldFence, passed, setFence, type CopyFence } from './copy-fence.ts';
import type { CopyJobs } from './copy-jobs.ts';
import { lockedTable } from './copy-lock.ts';
import { copyOut } from './copy-out.ts';
import { Doorbell } from './doorbell.ts';
import type { ResolvedOptions } from './options.ts';
import { mayLackValues } from './out-of-line.ts';
import { tellTables } from './schema-changes.ts';
import { isLost } from './source-error.ts';
import { boundsBy, copyRange, keyBound, snapshotUnits } from './snapshot-ranges.ts';
import { KeylessCopies, type CopyStream } from './keyless-copies.ts';
import { isLockTimeout } from './snapshot-locks.ts';
import { openTableEncoder } from './table-encoder.ts';
import { formatPosition, type CopyJob, type WalPosition } from './wal-position.ts';

/** A range stalls the stream while it is read, so it is small. */
const RANGE_ROWS_MAX = 20_000;
/** How often transactions that are older than a fence are looked for, the stream going on. */
const OLDER_MS = 50;
/** Wait before a lost connection is opened again. */
const RETRY_MS = 1_000;

/**
 * Copies tables while their changes are streamed, one range of keys between two batches of the stream.
 *
 * ```
 *   stream   ──batch──┐                                    ┌──batch──
 *   copy              └─ fence at F ─ older ones end ─ read ┘  rows, version F - 1
 * ```
 *
 * The rows are right beside the stream because of the fence: what they may lack lies at or after F, so
 * it overrules them, and what they have before F they may overrule. Whatever was delivered before the
 * range was committed before F, so the rows come in the stream's order and a later change that lacks an
 * out-of-line value finds it in them. `docs/decisions/20261121-copy-while-streaming.md` has the proof.
 */
export class CopyRunner implements AsyncDisposable {
  readonly #settings: ConnectionSettings;
  readonly #options: ResolvedOptions;
  readonly #jobs: CopyJobs;
  readonly #buffer = new OutgoingBuffer();
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #wake = new Doorbell();
  readonly #taken = new Doorbell();
  readonly #working: Promise<void>;
  #connection: Connection | null = null;
  #ready: { readonly table: string; readonly fence: CopyFence | null } | null = null;
  readonly #keyless: KeylessCopies;
  #stream: CopyStream | null = null;
  /** Somebody had the table, or an index of it, for himself at the last turn. */
  #isAltered = false;

  constructor(
    about: {
      readonly settings: ConnectionSettings;
      readonly options: ResolvedOptions;
      readonly jobs: CopyJobs;
    },
    signal: AbortSignal,
  ) {
    this.#settings = about.settings;
    this.#options = about.options;
    this.#jobs = about.jobs;
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
    this.#jobs.onChange = () => {
      this.#wake.ring();
      this.#stream?.ring();
    };
    const { jobs, options } = about;
    const { database } = about.settings;
    const publish = (at: WalPosition, rows: number): Generator<ChangeBatch> =>
      this.#publish(at, rows);
    this.#keyless = new KeylessCopies({ jobs, options, database, buffer: this.#buffer, publish });
    // It ends only with the signal; what it awaits then throws.
    this.#working = this.#work().catch(() => {});
  }

  /** The stream that makes room for what is due. */
  attach(stream: CopyStream): void {
    this.#stream = stream;
  }

  get jobs(): CopyJobs {
    return this.#jobs;
  }

  /** The stream is to make room for {@link batches}. */
  get due(): boolean {
    return this.#ready !== null || this.#jobs.unpublished;
  }

  /** What is due, at the place that the stream has reached. The stream delivers nothing meanwhile. */
  async *batches(): AsyncGenerator<ChangeBatch> {
    const stream = this.#stream;
    if (stream === null) return;
    const ready = this.#ready;
    this.#ready = null;
    const job = this.#jobs.next;
    if (ready !== null) {
      try {
        if (job?.table === ready.table) yield* this.#turn(job, ready.fence, stream);
      } finally {
        this.#buffer.reset();
        this.#taken.ring();
      }
    }
    if (this.#jobs.unpublished) yield* this.#publish(stream.delivered, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#jobs.onChange = () => {};
    this.#jobs.abandon(new MillraceError('SOURCE_DISCONNECTED', 'The stream has ended.'));
    this.#stop.abort();
    await this.#working;
    this.#connection?.destroy();
  }

  async #work(): Promise<void> {
    while (!this.#signal.aborted) {
      const job = this.#jobs.next;
      // A COPY that somebody has paused or cancelled ends with its connection only.
      if (this.#keyless.table !== null && this.#keyless.table !== job?.table) this.#disconnect();
      if (job === null) {
        await this.#wake.heard(this.#signal);
        continue;
      }
      try {
        await this.#prepare(job.table);
        if (this.#keyless.waits || this.#isAltered)
          await sleep(RETRY_MS, undefined, { signal: this.#signal });
      } catch (error) {
        if (this.#signal.aborted) return;
        this.#trouble(job.table, error);
        if (isLost(error)) await sleep(RETRY_MS, undefined, { signal: this.#signal });
      }
    }
  }

  /** Sets a fence for the next range and waits until it has passed; then it is the stream's turn. */
  async #prepare(table: string): Promise<void> {
    this.#ready = { table, fence: null };
    if (this.#keyless.table !== table) {
      this.#ready = null;
      this.#connection ??= await this.#open();
      const fence = await setFence(this.#connection);
      if (!(await this.#passes(this.#connection, fence, table))) return;
      this.#ready = { table, fence };
    }
    this.#stream?.ring();
    await this.#taken.heard(this.#signal);
  }

  #disconnect(): void {
    this.#connection?.destroy();
    this.#connection = null;
    this.#keyless.giveUp();
  }

  /**
   * The trouble of a copy is not the stream's. A connection is opened again; with anything else the copy
   * stops, is seen in `status`, and goes on from its last range when it is told to.
   */
  #trouble(table: string, error: unknown): void {
    this.#disconnect();
    const message = error instanceof Error ? error.message : String(error);
    if (isLost(error)) {
      this.#options.log.warn({ table }, `the copy waits for a connection: ${message}`);
      return;
    }
    this.#options.log.error({ table }, `the copy has failed: ${message}`);
    this.#jobs.fail(table, message);
  }

  async #open(): Promise<Connection> {
    const connection = await Connection.open(this.#settings, this.#signal);
    await connection.rows('SET default_transaction_read_only = on');
    // Since version 17.
    const unlimited = `SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'`;
    await connection.rows(unlimited);
    return connection;
  }

  /** False if the job is not the next any more. */
  async #passes(connection: Connection, fence: CopyFence, table: string): Promise<boolean> {
    for (;;) {
      if (this.#jobs.next?.table !== table) return false;
      if (await passed(connection, fence)) break;
      this.#jobs.hold(table);
      await sleep(OLDER_MS, undefined, { signal: this.#signal });
    }
    this.#jobs.hold(null);
    return true;
  }

  async *#turn(
    job: CopyJob,
    before: CopyFence | null,
    stream: CopyStream,
  ): AsyncGenerator<ChangeBatch> {
    const connection = this.#connection;
    if (connection === null) return;
    try {
      if (before === null) {
        yield* this.#keyless.turn(job, stream);
        return;
      }
      const found = await tableByName(connection, job.table);
      if (found === null) throw new Error('the table does not exist any more');
      this.#jobs.estimated(job.table, found.rowsEstimated);
      if (found.table.key.length === 0) {
        yield* this.#keyless.begin(connection, found, stream);
        yield* this.#keyless.turn(job, stream);
        return;
      }
      const fence = (await mayLackValues(connection, found)) ? await heldFence(connection) : before;
      // A transaction came in between that takes long: the stream goes on, and we wait beside it.
      if (fence === null) return;
      const of = await lockedTable(connection, found, this.#options);
      this.#isAltered = of === null;
      if (of !== null) yield* this.#read(job, { of, fence, at: stream.delivered });
    } catch (error) {
      this.#signal.throwIfAborted();
      this.#isAltered = isLockTimeout(error);
      if (this.#isAltered) this.#disconnect();
      else this.#trouble(job.table, error);
    }
  }

  async *#read(
    job: CopyJob,
    { of, fence, at }: { of: CataloguedTable; fence: CopyFence; at: WalPosition },
  ): AsyncGenerator<ChangeBatch> {
    const connection = this.#connection as Connection;
    const [unit] = await snapshotUnits(connection, [of], this.#options.filters);
    if (unit === undefined) throw new Error('the table cannot be read in ranges of its key');
    const narrowed = { ...unit, conditions: [...unit.conditions, ...given(job.where)] };
    const by = await boundsBy(connection, unit);
    // Of another key the bound says nothing: all is read again, and replaces what was.
    const after = job.by === undefined || job.by === by ? job.after : null;
    const rowsMax = Math.min(RANGE_ROWS_MAX, this.#options.snapshotRowsPerRange);
    const until = await keyBound(connection, narrowed, { range: { after, until: null }, rowsMax });
    const range = { after, until };
    const event = snapshotEvent(fence.lsn - 1n, Date.now() * 1000, 'incremental');
    const decoder = await this.#decoder(of, event);
    if (this.#options.includeSchemaChanges && after === null) await this.#define(of, event);
    const reads = copyOut(connection, copyRange(narrowed, range, null), (bytes, start, end) =>
      decoder.push(bytes, start, end),
    );
    let delivered = 0;
    for await (const _ of reads) {
      if (this.#buffer.bytes < this.#options.batchBytesMax) continue;
      // The position stays before the range: a restart reads it again.
      yield* this.#publish(at, decoder.rows - delivered, this.#jobs.state.step);
      delivered = decoder.rows;
    }
    decoder.finish();
    // A row that moved into a range read before must be followed to where it was seen to be.
    const isLast = range.until === null && (await mayLackValues(connection, of));
    if (isLast) this.#jobs.follow(job.table, await endOfLog(connection));
    await connection.rows('COMMIT');
    this.#jobs.reached(job.table, until === null ? null : { after: until, by }, decoder.rows);
    yield* this.#publish(at, decoder.rows - delivered);
  }

  async #decoder(of: CataloguedTable, event: ChangeEvent): Promise<CopyDecoder> {
    const { database } = this.#settings;
    const context = { ...this.#options, database, buffer: this.#buffer };
    return new CopyDecoder(await openTableEncoder(of.table, context), event);
  }

  /** How the table is defined, before its first rows. */
  #define(of: CataloguedTable, event: ChangeEvent): Promise<void> {
    const { database } = this.#settings;
    return tellTables([of], { ...this.#options, database, buffer: this.#buffer }, event);
  }

  *#publish(at: WalPosition, rows: number, until?: number): Generator<ChangeBatch> {
    const copies = this.#jobs.state;
    yield {
      outgoing: this.#buffer.outgoing(),
      position: formatPosition({ ...at, copies }),
      changes: rows,
      committedAt: null,
    };
    this.#buffer.reset();
    this.#jobs.published(until ?? copies.step);
  }
}

function given(where: string | null): string[] {
  return where === null ? [] : [`(${where}\n)`];
}
