import type { OutgoingBuffer } from '../../broker/outgoing-buffer.ts';
import type { ChangeBatch } from '../connector.ts';
import type { CataloguedTable } from './catalogue.ts';
import type { Connection } from './connection.ts';
import { heldFence } from './copy-fence.ts';
import type { CopyJobs } from './copy-jobs.ts';
import { KeylessCopy } from './keyless-copy.ts';
import type { ResolvedOptions } from './options.ts';
import type { TableCut } from './stream-cuts.ts';
import type { CopyJob, WalPosition } from './wal-position.ts';

/** What a copy asks of the stream beside it. */
export interface CopyStream {
  ring(): void;
  /** How far it was delivered. */
  readonly delivered: WalPosition;
  /** Resolves when it decodes nothing more, until {@link moveOn}. */
  standStill(): Promise<void>;
  moveOn(): void;
  /** What it has decoded and not delivered; null if that is nothing. */
  take(): ChangeBatch | null;
  /** From here on it leaves out what the cut has; changes behind it wait until the table is {@link copied}. */
  cut(cut: TableCut): void;
  copied(oid: number): void;
}

/** Rows of a turn: the stream waits for them. */
const TURN_ROWS_MAX = 20_000;

/**
 * Copies tables without a key beside the stream, one at a time. All is by position: the records of such a
 * table are, in this order,
 *
 * ```
 *   changes that the snapshot has seen │ truncate │ rows of the snapshot │ changes that it has not seen
 * ```
 *
 * 1. The stream stands still, at a fence: all that it has decoded is older, and seen.
 * 2. What is decoded is delivered. Then come the truncate and the first rows.
 * 3. The stream goes on. What is seen and was not decoded in 1 is left out ({@link TableCut}): the rows have
 *    it. The first change of the table that is not seen waits until all rows are published, and the stream
 *    with it.
 *
 * A copy that is interrupted begins again, with another truncate.
 */
export class KeylessCopies {
  readonly #options: ResolvedOptions;
  readonly #database: string;
  readonly #jobs: CopyJobs;
  readonly #buffer: OutgoingBuffer;
  readonly #publish: (at: WalPosition, rows: number) => Generator<ChangeBatch>;
  #open: { readonly copy: KeylessCopy; readonly stream: CopyStream } | null = null;
  #waits = false;

  constructor(about: {
    readonly jobs: CopyJobs;
    readonly options: ResolvedOptions;
    readonly database: string;
    readonly buffer: OutgoingBuffer;
    readonly publish: (at: WalPosition, rows: number) => Generator<ChangeBatch>;
  }) {
    this.#jobs = about.jobs;
    this.#options = about.options;
    this.#database = about.database;
    this.#buffer = about.buffer;
    this.#publish = about.publish;
  }

  /** The table that is half read; null if there is none. */
  get table(): string | null {
    return this.#open?.copy.table ?? null;
  }

  /** The last that began could not: an older transaction, or one that alters the table, is to end first. */
  get waits(): boolean {
    return this.#waits;
  }

  async *begin(
    connection: Connection,
    of: CataloguedTable,
    stream: CopyStream,
  ): AsyncGenerator<ChangeBatch> {
    this.#waits = true;
    await stream.standStill();
    try {
      const fence = await heldFence(connection);
      if (fence === null) return;
      const about = { of, options: this.#options, database: this.#database, buffer: this.#buffer };
      const copy = await KeylessCopy.begin(connection, { ...about, fence: fence.lsn });
      if (copy === null) return;
      this.#waits = false;
      const decoded = stream.take();
      if (decoded !== null) yield decoded;
      this.#jobs.cut(copy.table, copy.cut);
      stream.cut(copy.cut);
      this.#open = { copy, stream };
    } finally {
      stream.moveOn();
    }
  }

  /** Publishes the next rows, the first with the truncate before them. */
  async *turn(job: CopyJob, stream: CopyStream): AsyncGenerator<ChangeBatch> {
    const open = this.#open;
    if (open === null) return;
    const bytesMax = this.#options.batchBytesMax / 2;
    const { rows, ended } = await open.copy.turn({ rowsMax: TURN_ROWS_MAX, bytesMax });
    if (ended) this.#jobs.reached(job.table, null, rows);
    else this.#jobs.counted(job.table, rows);
    // I5: the rows and how many they are by now; the last come with the end of the job.
    yield* this.#publish(stream.delivered, rows);
    if (ended) this.giveUp();
  }

  /** It is read, or its connection is gone. */
  giveUp(): void {
    const open = this.#open;
    this.#open = null;
    this.#waits = false;
    open?.stream.copied(open.copy.cut.oid);
  }
}
