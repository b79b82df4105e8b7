import { OutgoingBuffer } from '../../broker/outgoing-buffer.ts';
import { MillraceError } from '../../errors.ts';
import type { ChangeBatch } from '../connector.ts';
import type { CataloguedTable } from './catalogue.ts';
import { snapshotEvent, type ChangeEvent } from './change-event.ts';
import type { Connection } from './connection.ts';
import { copiesOf } from './copy-request.ts';
import { Doorbell } from './doorbell.ts';
import type { ResolvedOptions } from './options.ts';
import { tellTables } from './schema-changes.ts';
import { lockLevels } from './snapshot-locks.ts';
import { SnapshotMarks, tablesWithRows } from './snapshot-marks.ts';
import { ProgressMeter } from './snapshot-progress.ts';
import { boundsBy, snapshotUnits, type SnapshotUnit } from './snapshot-ranges.ts';
import { SnapshotReader, type ReaderHost } from './snapshot-reader.ts';
import { followedTables } from './out-of-line.ts';
import { rewritten, seenCondition } from './snapshot-resumed.ts';
import { SnapshotWork, type Claim } from './snapshot-work.ts';
import { openTableEncoder } from './table-encoder.ts';
import { COMPLETE, formatPosition } from './wal-position.ts';
import type { FollowedTable, SnapshotState, WalPosition } from './wal-position.ts';

/** A reader that waits for its buffer to be published. */
interface Waiting {
  readonly reader: SnapshotReader;
  readonly published: () => void;
  readonly failed: (error: unknown) => void;
}

const ENDED = new MillraceError('SOURCE_DISCONNECTED', 'The snapshot has ended.');

/**
 * The rows that the tables had before the stream begins, range by range, several at once, all under one
 * snapshot of the server. It may be a later one than it began with, after a crash; why the tables come
 * out right all the same:
 *
 * - The stream has every commit from the slot's consistent point on, and snapshot rows carry a version
 *   below all of its changes. So a row read too new is overruled by the stream, change by change, until
 *   the stream is as far; a row that is gone by then is deleted by the stream or was never there.
 * - What the stream may lack is an out-of-line value that an update did not touch. It is taken from the
 *   row of that key. If the key moved, no snapshot may have a row of the old key with the value. So a
 *   table that may have such values is followed, until the stream is past the last snapshot: what it
 *   lacks of rows that move is looked up (`moved-rows.ts`).
 * - Rows without a key could be doubled: they are published in whole ranges, and the ranges left are
 *   read without the rows that the first snapshot did not see, which the stream has.
 */
export class Snapshot {
  readonly #connections: readonly Connection[];
  readonly #options: ResolvedOptions;
  readonly #tables: readonly CataloguedTable[];
  readonly #levels: readonly (readonly CataloguedTable[])[];
  readonly #database: string;
  readonly #resumed: boolean;
  readonly #meter: ProgressMeter;
  readonly #waiting: Waiting[] = [];
  readonly #bell = new Doorbell();
  readonly #version: bigint;
  #units: readonly SnapshotUnit[] = [];
  #work: SnapshotWork | null = null;
  #seen: string | null = null;
  #followed: readonly FollowedTable[] = [];
  #at: WalPosition & { readonly snapshot: SnapshotState };
  /** Tables before this one are published. */
  #tablesDone = 0;
  #claimed: Promise<unknown> = Promise.resolve();
  #running: Promise<unknown> = Promise.resolve();
  /** Readers that have not ended. */
  #reading = 0;
  #failure: { readonly error: unknown } | null = null;

  /** The connections are in their transactions already, with locks on the tables. */
  constructor(
    connections: readonly Connection[],
    about: {
      readonly options: ResolvedOptions;
      readonly tables: readonly CataloguedTable[];
      readonly database: string;
      readonly at: WalPosition & { readonly snapshot: SnapshotState };
      readonly resumed: boolean;
    },
  ) {
    this.#connections = connections;
    this.#options = about.options;
    this.#tables = about.tables;
    this.#levels = lockLevels(about.tables);
    this.#database = about.database;
    this.#resumed = about.resumed;
    this.#at = about.at;
    this.#version = BigInt(`0x${about.at.snapshot.version}`);
    this.#meter = new ProgressMeter(
      about.tables.map((of) => ({ table: nameOf(of), rowsEstimated: of.rowsEstimated })),
    );
  }

  async *batches(): AsyncGenerator<ChangeBatch> {
    const [connection] = this.#connections;
    if (connection === undefined) throw new Error('a snapshot has a connection at least');
    const work = await this.#prepare(connection);
    if (this.#options.includeSchemaChanges && !this.#resumed) yield await this.#definitions();
    const marks = await this.#openMarks(connection);
    if (this.#at.snapshot.emptied.length > 0) yield await this.#truncates();
    this.#proceed();
    const host = this.#host(work);
    const readers = this.#connections.map((each) => new SnapshotReader(each, host));
    const ended = readers.map((reader) =>
      reader
        .run()
        .catch((error: unknown) => (this.#failure ??= { error }))
        .finally(() => {
          this.#reading--;
          this.#bell.ring();
        }),
    );
    this.#reading = ended.length;
    this.#running = Promise.all(ended);
    while (this.#reading > 0) {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        try {
          yield await this.#batchOf(next.reader, work, marks);
          this.#proceed();
          next.published();
        } finally {
          // Nobody takes batches any more, if it was not published.
          next.failed(ENDED);
        }
      }
      await this.#bell.heard(connection.signal);
      connection.signal.throwIfAborted();
      this.#throwFailure();
    }
    yield this.#complete();
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }

  /** To be called when the connections are closed: resolves when nobody uses them any more. */
  async ended(): Promise<void> {
    this.#failure ??= { error: ENDED };
    for (const { failed } of this.#waiting.splice(0)) failed(ENDED);
    await this.#running;
  }

  /** What there is to read, and how, if a part was read under an earlier snapshot. */
  async #prepare(connection: Connection): Promise<SnapshotWork> {
    const units = await snapshotUnits(connection, this.#tables, this.#options.filters);
    const { snapshot } = this.#at;
    const begun = (unit: SnapshotUnit) => snapshot.open.find((open) => open.unit === unit.name);
    const again: string[] = [];
    const bounds = new Map<string, string>();
    for (const unit of units) {
      const by = await boundsBy(connection, unit);
      bounds.set(unit.name, by);
      const open = begun(unit);
      if (open === undefined || open.by === by) continue;
      if (unit.of.table.key.length === 0) throw rewritten(unit);
      again.push(unit.name);
    }
    if (this.#resumed) {
      this.#seen = await seenCondition(connection, snapshot.seen);
      this.#followed = await followedTables(connection, this.#tables);
    }
    if (again.length > 0)
      this.#reach({ open: snapshot.open.filter((open) => !again.includes(open.unit)) });
    this.#units = units;
    this.#work = new SnapshotWork(units, { state: this.#at.snapshot, bounds });
    return this.#work;
  }

  #host(work: SnapshotWork): ReaderHost {
    const takenAt = Date.now() * 1000;
    const event = (): ChangeEvent => snapshotEvent(this.#version, takenAt);
    const released = (): number => this.#levelsDone() - 1;
    return {
      options: this.#options,
      database: this.#database,
      event,
      claim: (bound) => this.#inTurn(() => claimed(work, bound)),
      get released() {
        return released();
      },
      seen: ({ of }) => (of.table.key.length > 0 ? null : this.#seen),
      counted: ({ of }, rows) => this.#meter.add(nameOf(of), rows),
      deliver: (reader) => this.#deliver(reader),
    };
  }

  async #inTurn<T>(turn: () => Promise<T>): Promise<T> {
    const mine = this.#claimed.then(turn);
    this.#claimed = mine.catch(() => {});
    return mine;
  }

  #deliver(reader: SnapshotReader): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure.error);
    const { promise, resolve: published, reject: failed } = Promise.withResolvers<void>();
    this.#waiting.push({ reader, published, failed });
    this.#bell.ring();
    return promise;
  }

  /**
   * Tables that have rows downstream from before this snapshot, which begins anew, are truncated before
   * its first row: nobody else would tell of the rows that were deleted in between.
   */
  async #truncates(): Promise<ChangeBatch> {
    const buffer = new OutgoingBuffer();
    const event = snapshotEvent(this.#version - 1n, Date.now() * 1000);
    const { emptied } = this.#at.snapshot;
    for (const of of this.#tables.filter((each) => emptied.includes(nameOf(each)))) {
      const context = { ...this.#options, buffer, database: this.#database };
      (await openTableEncoder(of.table, context)).truncate(event);
    }
    this.#reach({ emptied: [] });
    return { outgoing: buffer.outgoing(), ...this.#position(), changes: 0, committedAt: null };
  }

  /** How the tables are defined, before their first rows. */
  async #definitions(): Promise<ChangeBatch> {
    const buffer = new OutgoingBuffer();
    const event = snapshotEvent(this.#version, Date.now() * 1000);
    await tellTables(this.#tables, { ...this.#options, buffer, database: this.#database }, event);
    return { outgoing: buffer.outgoing(), ...this.#position(), changes: 0, committedAt: null };
  }

  async #openMarks(connection: Connection): Promise<SnapshotMarks> {
    const { registry, prefix } = this.#options;
    const { done, open } = this.#at.snapshot;
    const names = new Set([...done, ...open.map(({ unit }) => unit)]);
    const begun = this.#units.filter(({ name }) => names.has(name)).map(({ of }) => of);
    const tables = await tablesWithRows(connection, this.#units);
    return new SnapshotMarks(registry, prefix, { tables, begun });
  }

  #isFinished(of: CataloguedTable): boolean {
    return this.#units.every((unit) => unit.of !== of || this.#work?.isDone(unit) === true);
  }

  /** I5: the ranges that are finished by a batch are in its position, and no others. */
  async #batchOf(
    { buffer, rows, finished }: SnapshotReader,
    work: SnapshotWork,
    marks: SnapshotMarks,
  ): Promise<ChangeBatch> {
    for (const claim of finished) work.finish(claim);
    if (finished.length > 0) this.#reach(work.state);
    const position = this.#position();
    await marks.mark(buffer, (of) => this.#isFinished(of));
    this.#options.onProgress?.(this.#meter.progress());
    return { outgoing: buffer.outgoing(), ...position, changes: rows, committedAt: null };
  }

  #complete(): ChangeBatch {
    this.#options.onProgress?.(this.#meter.progress());
    const { added = [] } = this.#at.snapshot;
    const copies = copiesOf(added, this.#followed);
    const at = { ...this.#at, ordinal: COMPLETE, snapshot: null, copies };
    return { outgoing: [], position: formatPosition(at), changes: 0, committedAt: null };
  }

  #position(): Pick<ChangeBatch, 'position'> {
    return { position: formatPosition(this.#at) };
  }

  /** Each state has a number of its own, so that a later position is the greater text. */
  #reach(state: Partial<SnapshotState>): void {
    const { ordinal, snapshot } = this.#at;
    this.#at = { ...this.#at, ordinal: ordinal + 1, snapshot: { ...snapshot, ...state } };
  }

  /** Counts the tables that are published: their locks can go, which were taken in the same order. */
  #proceed(): void {
    for (; this.#tablesDone < this.#tables.length; this.#tablesDone++) {
      const of = this.#tables[this.#tablesDone] as CataloguedTable;
      if (!this.#isFinished(of)) return;
      this.#meter.finish(nameOf(of));
    }
  }

  #levelsDone(): number {
    let tables = 0;
    const pending = this.#levels.findIndex(({ length }) => (tables += length) > this.#tablesDone);
    return pending < 0 ? this.#levels.length : pending;
  }
}

async function claimed(
  work: SnapshotWork,
  bound: Parameters<ReaderHost['claim']>[0],
): Promise<Claim | null> {
  const { gap } = work;
  return gap === null ? null : work.claim(gap, await bound(gap));
}

function nameOf({ table }: CataloguedTable): string {
  return `${table.schema}.${table.name}`;
}
