import { ChangeEvent } from './change-event.ts';
import { LETTER, parseOrigin, parseRelation, parseTruncate, Transaction } from './pgoutput.ts';
import type { Relation } from './pgoutput.ts';
import type { TableEncoder } from './table-encoder.ts';
import { NULL, Tuple } from './tuple.ts';
import { int32At } from './types/type-codec.ts';
import { WireReader } from './wire-reader.ts';
import { MillraceError } from '../../errors.ts';

/**
 * The payload of one XLogData message, `bytes[start, end)`, and the WAL start in its header, which is
 * the LSN of the change. One object may be reused for all messages.
 */
export interface StreamMessage {
  bytes: Buffer;
  start: number;
  end: number;
  lsnHigh: number;
  lsnLow: number;
}

/** What {@link StreamEncoder.push} has done. */
export const PUSHED = {
  consumed: 0,
  /** `relation` is to be looked up and {@link StreamEncoder.define}d; then the next message follows. */
  needsTable: 1,
  /** The transaction is complete; its end is `endLsn`. */
  committed: 2,
  /** A logical message that belongs to no transaction. */
  between: 3,
} as const;
export type Pushed = (typeof PUSHED)[keyof typeof PUSHED];

/** Everything up to here is on the topics: so many changes of the transaction that commits there. */
export interface StreamPosition {
  readonly commitLsn: bigint;
  readonly ordinal: number;
}

/**
 * Turns the messages of one replication stream into records, and knows where it is.
 *
 * A place in the stream is the LSN of a commit and the ordinal of a change in its transaction: how many
 * Insert, Update, Delete and Truncate messages it had so far, of captured tables or not. Decoding is
 * deterministic, so a restart that is given the last published place skips exactly what was published:
 * transactions that commit before it whole, and of the one that commits there the first `ordinal`.
 *
 * If `push` throws, the change it threw for is not in the buffer and the encoder is of no further use.
 */
export class StreamEncoder {
  readonly #tables = new Map<number, TableEncoder | null>();
  readonly #relations = new Map<number, Relation>();
  readonly #event = new ChangeEvent();
  readonly #row = new Tuple();
  readonly #old = new Tuple();
  #resume: StreamPosition | null;
  #skip = 0;
  readonly #transaction = new Transaction();
  #ordinal = 0;
  #changes = 0;
  #inTransaction = false;
  #relation: Relation | null = null;
  #pending: StreamMessage | null = null;
  #lastOid = -1;
  #lastTable: TableEncoder | null = null;

  constructor(options: { readonly resume: StreamPosition | null }) {
    this.#resume = options.resume;
  }

  /** LSN of the commit of the transaction that is, or was last, being read. */
  get commitLsn(): bigint {
    const { commitHigh, commitLow } = this.#transaction;
    return lsnOf(commitHigh, commitLow);
  }

  /** Where the last complete transaction ended; null before the first. */
  get endLsn(): bigint | null {
    const lsn = lsnOf(this.#transaction.endHigh, this.#transaction.endLow);
    return lsn === 0n ? null : lsn;
  }

  get ordinal(): number {
    return this.#ordinal;
  }

  get inTransaction(): boolean {
    return this.#inTransaction;
  }

  /** Row changes and truncations written so far, not counting what was skipped. */
  get changes(): number {
    return this.#changes;
  }

  /** Commit time of that transaction, milliseconds since 1970; null before the first. */
  get committedAt(): number | null {
    const { revision, micros } = this.#event;
    return revision === 0 ? null : Math.floor(micros / 1000);
  }

  /** The table that the stream has announced, or announced again because it may have changed. */
  get relation(): Relation | null {
    return this.#relation;
  }

  /** Tells the time of processing, ms since 1970: to be called before every chunk of messages. */
  processedAt(millis: number): void {
    this.#event.processedAt(millis);
  }

  /** Says how the rows of `relation` are written from now on; null if it is not captured. */
  define(oid: number, table: TableEncoder | null): void {
    this.#tables.set(oid, table);
    this.#lastOid = -1;
    this.#relation = null;
    const pending = this.#pending;
    this.#pending = null;
    if (pending !== null && this.#encode(pending) === PUSHED.needsTable) {
      throw unexpected('A column is null again after its table was defined as having null there.');
    }
  }

  push(message: StreamMessage): Pushed {
    const { bytes, start } = message;
    const letter = bytes[start] as number;
    switch (letter) {
      case LETTER.insert:
      case LETTER.update:
      case LETTER.delete:
      case LETTER.truncate:
        if (this.#ordinal >= this.#skip) return this.#encode(message);
        this.#ordinal++;
        return PUSHED.consumed;
      case LETTER.begin:
        this.#begin(message);
        return PUSHED.consumed;
      case LETTER.commit:
        this.#transaction.commit(message);
        this.#inTransaction = false;
        return PUSHED.committed;
      case LETTER.relation:
        this.#relation = parseRelation(reader(message));
        this.#relations.set(this.#relation.oid, this.#relation);
        return PUSHED.needsTable;
      case LETTER.origin:
        this.#event.from(parseOrigin(reader(message)));
        return PUSHED.consumed;
      // Logical messages are not captured.
      case LETTER.message:
        return this.#inTransaction ? PUSHED.consumed : PUSHED.between;
      // A Type only names an oid that the catalogue knows.
      case LETTER.type:
        return PUSHED.consumed;
      default:
        throw unexpected(`A replication message of kind ${letter} is not known.`);
    }
  }

  #begin(message: StreamMessage): void {
    this.#transaction.begin(message);
    this.#event.begin(this.#transaction);
    this.#ordinal = 0;
    this.#inTransaction = true;
    this.#skip = 0;
    if (this.#resume === null) return;
    const { commitLsn } = this;
    if (commitLsn < this.#resume.commitLsn) this.#skip = Infinity;
    else if (commitLsn === this.#resume.commitLsn) this.#skip = this.#resume.ordinal;
    else this.#resume = null;
  }

  /** Counts the change when it is written, so that the place never says more than the buffer has. */
  #encode(message: StreamMessage): Pushed {
    const { bytes, start } = message;
    this.#event.at(message.lsnHigh, message.lsnLow);
    const letter = bytes[start];
    if (letter === LETTER.truncate) return this.#truncate(message);
    const table = this.#table(int32At(bytes, start + 1) >>> 0);
    if (table === null) {
      this.#ordinal++;
      return PUSHED.consumed;
    }
    const hasOld = this.#readRows(message);
    const event = this.#event;
    let written: boolean;
    if (letter === LETTER.insert) written = table.insert(this.#row, event);
    else if (letter === LETTER.delete) written = table.delete(this.#old, event);
    else written = table.update(hasOld ? this.#old : null, this.#row, event);
    if (!written) return this.#refused(message);
    this.#ordinal++;
    this.#changes++;
    return PUSHED.consumed;
  }

  /** Reads the rows of a change; whether there is an old one. */
  #readRows({ bytes, start, end }: StreamMessage): boolean {
    let at = start + 5;
    const first = bytes[at];
    const hasOld = first === LETTER.oldRow || first === LETTER.oldKey;
    if (hasOld) {
      this.#old.full = first === LETTER.oldRow;
      at = this.#old.readMessage(bytes, at + 1, end);
    }
    if (bytes[start] !== LETTER.delete) {
      if (bytes[at] !== LETTER.newRow) throw unexpected('A change came without its new row.');
      at = this.#row.readMessage(bytes, at + 1, end);
    } else if (!hasOld) throw unexpected('A delete came without its old row.');
    if (at !== end) throw unexpected('A change is longer than its rows.');
    return hasOld;
  }

  #truncate(message: StreamMessage): Pushed {
    for (const oid of parseTruncate(reader(message))) {
      const table = this.#table(oid);
      if (table === null) continue;
      table.truncate(this.#event);
      this.#changes++;
    }
    this.#ordinal++;
    return PUSHED.consumed;
  }

  #table(oid: number): TableEncoder | null {
    if (oid === this.#lastOid) return this.#lastTable;
    const table = this.#tables.get(oid);
    if (table === undefined) throw unexpected('A change came before its table was described.');
    this.#lastOid = oid;
    this.#lastTable = table;
    return table;
  }

  /**
   * A column is null that the catalogue says is never null: it must have been made so after this
   * change. The table is asked for again, and the change written when it is there.
   */
  #refused(message: StreamMessage): Pushed {
    const { bytes, start, end } = message;
    const relation = this.#relations.get(int32At(bytes, start + 1) >>> 0);
    if (relation === undefined) throw unexpected('A change came before its table was described.');
    const isNull = (index: number): boolean =>
      (bytes[start] !== LETTER.delete && this.#row.kinds[index] === NULL) ||
      (this.#old.full && bytes[start] !== LETTER.insert && this.#old.kinds[index] === NULL);
    this.#relation = {
      ...relation,
      columns: relation.columns.map((column, index) => ({
        ...column,
        nullable: column.nullable || isNull(index),
      })),
    };
    this.#relations.set(relation.oid, this.#relation);
    this.#pending = { ...message, bytes: Buffer.from(bytes.subarray(start, end)), start: 0 };
    this.#pending.end = end - start;
    return PUSHED.needsTable;
  }
}

function lsnOf(high: number, low: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

function reader({ bytes, start, end }: StreamMessage): WireReader {
  return new WireReader(bytes, start + 1, end);
}

function unexpected(message: string): MillraceError {
  return new MillraceError('PROTOCOL_UNEXPECTED', message);
}
