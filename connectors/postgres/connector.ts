import { setTimeout as sleep } from 'node:timers/promises';
import { OutgoingBuffer } from '../../broker/outgoing-buffer.ts';
import { MillraceError, type ErrorCode } from '../../errors.ts';
import type {
  CapturedTable,
  ChangeBatch,
  Connector,
  CopyProgress,
  CopyRequest,
  Position,
} from '../connector.ts';
import { Connection } from './connection.ts';
import { connectionSettings, type ConnectionSettings } from './connection-settings.ts';
import { CopyJobs } from './copy-jobs.ts';
import { CopyRunner } from './copy-runner.ts';
import { checkedCopy, withNewTables } from './copy-request.ts';
import { MovedRows } from './moved-rows.ts';
import { resolveOptions, type PostgresOptions, type ResolvedOptions } from './options.ts';
import { preflight, type Preflight } from './preflight.ts';
import { openSnapshot } from './snapshot-transaction.ts';
import { quoteName } from './server.ts';
import { SlotMonitor } from './slot-monitor.ts';
import { comesBinary, StreamTables } from './stream-tables.ts';
import { openStreamTopics } from './stream-topics.ts';
import { tableShape } from './table-shape.ts';
import { checkedTimeline } from './timeline.ts';
import { flushLsn, formatPosition, parsePosition, type WalPosition } from './wal-position.ts';
import { WalStream } from './wal-stream.ts';

/** Captures tables of PostgreSQL 14 to 18: a snapshot, then the changes of a logical replication slot. */
export function postgresConnector(options: PostgresOptions): Connector {
  return new PostgresConnector(options);
}

/**
 * A slot of ours counts as used until the server has noticed that the old reader is gone: at once if its
 * process was killed, after `wal_sender_timeout` (a minute) if the network was.
 */
const KILLED_SLOT_MS_MAX = 5_000;
const OWN_SLOT_MS_MAX = 70_000;

const PASSING: ReadonlySet<ErrorCode> = new Set([
  'SOURCE_DISCONNECTED',
  'SOURCE_UNREACHABLE',
  'SOURCE_STANDBY',
]);

class PostgresConnector implements Connector {
  readonly #options: ResolvedOptions;
  readonly #settings: ConnectionSettings;
  /** What the server may forget: the acknowledged position, as an LSN. */
  #flushed = 0n;
  #textOnly = false;
  /** Known when the connector was made, so good for one session. */
  #newTables: readonly string[];
  /** Of the stream that is open; null while there is none. */
  #jobs: CopyJobs | null = null;
  readonly #endedCopies: CopyProgress[] = [];
  /** Until when a used slot may be our own. */
  #patientUntil = 0;

  constructor(options: PostgresOptions) {
    this.#options = resolveOptions(options);
    this.#settings = connectionSettings(options);
    this.#newTables = options.newTables ?? [];
  }

  async plan(
    signal: AbortSignal,
    how?: { readonly beside: boolean },
  ): Promise<readonly CapturedTable[]> {
    await using connection = await Connection.open(this.#settings, signal);
    const { tables, slot } = await preflight(connection, this.#options, how);
    const lost =
      slot?.lost == null ? [] : [`the slot was invalidated (${slot.lost}): take a new snapshot`];
    return tables.map(({ table, generated }) => {
      const { shape, notes } = tableShape(table, this.#options);
      const skipped = generated.map((name) => `${name}: generated, not captured`);
      const keyless = table.key.length === 0 ? ['no primary key: every change is appended'] : [];
      return {
        table: `${table.schema}.${table.name}`,
        shape,
        notes: [...notes, ...skipped, ...keyless, ...lost],
      };
    });
  }

  async *changes(after: Position | null, signal: AbortSignal): AsyncGenerator<ChangeBatch> {
    let at = after === null ? null : parsePosition(after);
    this.#flushed = at === null ? 0n : flushLsn(at);
    this.#patientUntil = performance.now() + KILLED_SLOT_MS_MAX;
    let failures = 0;
    for (;;) {
      try {
        for await (const batch of this.#session(at, signal)) {
          failures = 0;
          yield batch;
          at = parsePosition(batch.position);
        }
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (!this.#passes(error)) throw error;
        const waitMs = this.#waitMs(failures++);
        this.#options.log.warn({ code: error.code, place: error.place, waitMs }, error.message);
        this.#options.onLost?.(error);
        await sleep(waitMs, undefined, { signal }).catch(() => {});
      }
    }
  }

  async copy(request: CopyRequest, signal: AbortSignal): Promise<void> {
    await using connection = await Connection.open(this.#settings, signal);
    const { table, where } = await checkedCopy(connection, request, this.#options);
    const jobs = this.#jobs;
    if (jobs === null) {
      throw new MillraceError('SNAPSHOT_REFUSED', 'The stream is not open.', {
        expected: 'a source that is connected, and a first snapshot that is finished',
      });
    }
    const { action } = request;
    if (action === 'start') jobs.start(table, where);
    else jobs.control({ action, table });
    const { promise, reject } = Promise.withResolvers<void>();
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort);
    await Promise.race([jobs.durable(), promise]).finally(() =>
      signal.removeEventListener('abort', abort),
    );
  }

  ack(position: Position): Promise<void> {
    // I1: the only place from which the server learns what it may forget.
    const flush = flushLsn(parsePosition(position));
    if (flush > this.#flushed) this.#flushed = flush;
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** One connection's worth of changes: the snapshot as far as it is missing, then the stream. */
  async *#session(from: WalPosition | null, signal: AbortSignal): AsyncGenerator<ChangeBatch> {
    let at = from;
    let found: Preflight;
    {
      await using connection = await Connection.open(this.#settings, signal);
      found = await preflight(connection, this.#options);
      if (at !== null) {
        this.#checkKept(found, at);
        at = { ...at, timeline: await this.#checkTimeline(at, signal) };
      }
      if (at !== null) {
        const options = { ...this.#options, newTables: this.#newTables };
        const changed = await withNewTables(connection, { found, at, options });
        if (changed !== null) {
          at = changed;
          yield { outgoing: [], position: formatPosition(at), changes: 0, committedAt: null };
        }
        this.#newTables = [];
      }
      await this.#mendPublication(connection, found, at);
    }
    this.#options.onConnected?.();
    if (at === null || at.snapshot !== null) {
      const options = this.#options;
      await using opened = await openSnapshot(
        { settings: this.#settings, options, found, at },
        signal,
      );
      for await (const batch of opened.snapshot.batches()) {
        yield batch;
        at = parsePosition(batch.position);
        this.#newTables = [];
      }
    }
    if (at === null) return;
    yield* this.#stream(found, at, signal);
  }

  async *#stream(
    found: Preflight,
    after: WalPosition,
    signal: AbortSignal,
  ): AsyncGenerator<ChangeBatch> {
    const tables = found.tables.map(({ table }) => table);
    const settings = this.#settings;
    const options = this.#options;
    const buffer = new OutgoingBuffer();
    const { database } = settings;
    const topics = await openStreamTopics(options, { ...options, buffer, database });
    const connection = await Connection.open(settings, signal, 'replication');
    if (options.slotFailover && found.slot?.failover === false) {
      await connection.rows(`ALTER_REPLICATION_SLOT ${quoteName(options.slot)} (FAILOVER true)`);
    }
    const jobs = new CopyJobs(after.copies ?? null, {
      ended: this.#endedCopies,
      told: (copies) => options.onCopies?.(copies),
    });
    await using copies = new CopyRunner({ settings, options, jobs }, signal);
    const binary = !this.#textOnly && tables.every(comesBinary);
    await using moved = new MovedRows({ settings, jobs, binary }, signal);
    await using stream = new WalStream(connection, {
      options,
      after,
      tables: new StreamTables({ settings, options, tables, binary }, signal),
      buffer,
      topics,
      copies,
      moved,
      flushed: () => this.#flushed,
    });
    await using _ = new SlotMonitor(settings, options, (error) => stream.fail(error));
    this.#jobs = jobs;
    try {
      yield* stream.batches(signal);
    } finally {
      this.#jobs = null;
      this.#patientUntil = performance.now() + OWN_SLOT_MS_MAX;
    }
  }

  async #mendPublication(
    connection: Connection,
    { publication: { statements } }: Preflight,
    at: WalPosition | null,
  ): Promise<void> {
    for (const statement of statements) {
      if (at !== null) {
        this.#options.log.info({ statement }, 'changing the publication');
      }
      await connection.rows(statement);
    }
  }

  /** Slot and publication must still have everything after the position. */
  #checkKept({ slot, publication }: Preflight, at: WalPosition): void {
    const { slot: name } = this.#options;
    if (!publication.exists) {
      const missing = `The publication ${this.#options.publication} does not exist.`;
      throw new MillraceError('PUBLICATION_LOST', missing);
    }
    if (slot === null) throw new MillraceError('SLOT_LOST', `The slot ${name} does not exist.`);
    if (slot.lost !== null) {
      throw new MillraceError('SLOT_LOST', `The slot ${name} was invalidated: ${slot.lost}.`);
    }
    if (slot.confirmedLsn === null || slot.confirmedLsn > flushLsn(at)) {
      throw new MillraceError('SLOT_LOST', `The slot ${name} has moved past our position.`, {
        expected: 'a slot that nobody else reads or advances, and a position that was not restored',
      });
    }
  }

  async #checkTimeline(at: WalPosition, signal: AbortSignal): Promise<number> {
    await using connection = await Connection.open(this.#settings, signal, 'replication');
    return await checkedTimeline(connection, at);
  }

  /** Whether opening again may help; a stream that cannot be binary is opened as text. */
  #passes(error: unknown): error is MillraceError {
    if (!(error instanceof MillraceError)) return false;
    if (error.code === 'SOURCE_FORMAT') {
      const first = !this.#textOnly;
      this.#textOnly = true;
      return first;
    }
    if (error.code === 'SLOT_IN_USE') {
      return performance.now() < this.#patientUntil;
    }
    return PASSING.has(error.code);
  }

  /** Doubles up to the longest, then somewhere between its half and all of it. */
  #waitMs(failures: number): number {
    const { reconnectMs, reconnectMsMax } = this.#options;
    const longest = Math.min(reconnectMsMax, reconnectMs * 2 ** Math.min(failures, 30));
    return Math.round(longest * (0.5 + Math.random() / 2));
  }
}
