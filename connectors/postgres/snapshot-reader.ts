import { OutgoingBuffer } from '../../broker/outgoing-buffer.ts';
import type { ChangeEvent } from './change-event.ts';
import type { Connection } from './connection.ts';
import { CopyDecoder } from './copy-binary.ts';
import { copyOut } from './copy-out.ts';
import type { ResolvedOptions } from './options.ts';
import { releaseLevel } from './snapshot-locks.ts';
import { copyRange, keyBound, pageBound, type SnapshotUnit } from './snapshot-ranges.ts';
import type { Claim, Gap } from './snapshot-work.ts';
import { openTableEncoder, type TableEncoder } from './table-encoder.ts';

/** What a reader asks of the snapshot that it reads for. */
export interface ReaderHost {
  readonly options: ResolvedOptions;
  readonly database: string;
  /** With which every row is written. */
  event(): ChangeEvent;
  /** One reader at a time is given what is left, and answers where its range ends; null if nothing is. */
  claim(bound: (gap: Gap) => Promise<readonly string[] | null>): Promise<Claim | null>;
  /** The level of locks up to which everything is published; -1 for none. */
  readonly released: number;
  /** The condition under which rows of a unit were there when the snapshot began; null for all. */
  seen(unit: SnapshotUnit): string | null;
  counted(unit: SnapshotUnit, rows: number): void;
  /** Resolves when what the reader holds is published, and the reader is empty again. */
  deliver(reader: SnapshotReader): Promise<void>;
}

/** In each range: a bound may have to wait for the lock of an index as long as that takes. */
const RANGE_BEGINS = 'SAVEPOINT range; SET LOCAL lock_timeout = 0';
const RANGE_ENDS = 'ROLLBACK TO SAVEPOINT range; RELEASE SAVEPOINT range';

/**
 * Reads ranges on one connection, in a transaction that the others share the snapshot of, into a buffer of
 * its own. The buffers of all readers together have the bounds of one batch (I9).
 *
 * Outside a range it holds no lock that another reader may come to wait for behind somebody else: what
 * a range has locked (indexes, above all) is let go with it.
 */
export class SnapshotReader {
  readonly buffer = new OutgoingBuffer();
  readonly #connection: Connection;
  readonly #host: ReaderHost;
  readonly #event: ChangeEvent;
  readonly #bytesMax: number;
  readonly #rowsMax: number;
  /** Rows in the buffer. */
  rows = 0;
  /** Ranges whose last rows are in the buffer. */
  finished: Claim[] = [];
  #released = -1;
  #encoder: { readonly unit: SnapshotUnit; readonly encoder: TableEncoder } | null = null;

  constructor(connection: Connection, host: ReaderHost) {
    const { snapshotConcurrency, batchBytesMax, batchRowsMax } = host.options;
    this.#connection = connection;
    this.#host = host;
    this.#event = host.event();
    this.#bytesMax = batchBytesMax / snapshotConcurrency;
    this.#rowsMax = batchRowsMax / snapshotConcurrency;
  }

  /** Until nothing is left to begin; then its connection, and the locks with it, are let go. */
  async run(): Promise<void> {
    for (;;) {
      const { released } = this.#host;
      if (released > this.#released) await releaseLevel(this.#connection, released);
      this.#released = released;
      const claim = await this.#host.claim((gap) => this.#bound(gap));
      if (claim === null) break;
      await this.#read(claim);
      await this.#connection.rows(RANGE_ENDS);
      this.finished.push(claim);
      if (this.#isFull()) await this.#deliver();
    }
    if (this.finished.length > 0) await this.#deliver();
    this.#connection.destroy();
  }

  async #bound({ unit, range }: Gap): Promise<readonly string[] | null> {
    const connection = this.#connection;
    const { snapshotRowsPerRange: rowsMax } = this.#host.options;
    await connection.rows(RANGE_BEGINS);
    // Here, because two readers must not register the same schema at once.
    if (this.#encoder?.unit !== unit) this.#encoder = { unit, encoder: await this.#open(unit) };
    return isKeyed(unit)
      ? keyBound(connection, unit, { range, rowsMax })
      : pageBound(connection, unit, { range, bytesMax: this.#bytesMax / 2 });
  }

  #open(unit: SnapshotUnit): Promise<TableEncoder> {
    const { options, database } = this.#host;
    return openTableEncoder(unit.of.table, { ...options, buffer: this.buffer, database });
  }

  async #read({ unit, range }: Claim): Promise<void> {
    const { encoder } = this.#encoder ?? {};
    if (encoder === undefined) throw new Error('a range is claimed with its encoder');
    const decoder = new CopyDecoder(encoder, this.#event);
    const sql = copyRange(unit, range, this.#host.seen(unit));
    const reads = copyOut(this.#connection, sql, (bytes, start, end) =>
      decoder.push(bytes, start, end),
    );
    let counted = 0;
    const count = (): void => {
      this.rows += decoder.rows - counted;
      this.#host.counted(unit, decoder.rows - counted);
      counted = decoder.rows;
    };
    for await (const _ of reads) {
      count();
      // The range is not finished by that: what is published of it may come again. Rows without a key
      // must not, so they wait for its end.
      if (isKeyed(unit) && !decoder.ended && this.#isFull()) await this.#deliver();
    }
    decoder.finish();
    count();
  }

  #isFull(): boolean {
    return this.rows >= this.#rowsMax || this.buffer.bytes >= this.#bytesMax;
  }

  async #deliver(): Promise<void> {
    await this.#host.deliver(this);
    this.buffer.reset();
    this.rows = 0;
    this.finished = [];
    this.#event.processedAt(Date.now());
  }
}

function isKeyed({ of }: SnapshotUnit): boolean {
  return of.table.key.length > 0;
}
