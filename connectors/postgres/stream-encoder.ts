import { ChangeEvent } from './change-event.ts';
import { ChangeRows } from './change-rows.ts';
import {
  LETTER,
  parseMessage,
  parseOrigin,
  parseRelation,
  parseTruncate,
  Transaction,
} from './pgoutput.ts';
import { lacksValues } from './move.ts';
import { MESSAGE_COLLECTION } from './logical-messages.ts';
import type { Relation } from './pgoutput.ts';
import { PUSHED, type Pushed } from './pushed.ts';
import { recount } from './recount.ts';
import { withNulls } from './relation.ts';
import { lsnOf, reader, unexpected, type StreamMessage } from './stream-message.ts';
import type { StreamTopics } from './stream-topics.ts';
import { KnownTables } from './known-tables.ts';
import type { TableEncoder } from './table-encoder.ts';
import { int32At } from './types/type-codec.ts';
import { COMPLETE } from './wal-position.ts';

/** Everything up to here is on the topics: so many changes of the transaction that commits there. */
export interface StreamPosition {
  readonly commitLsn: bigint;
  readonly ordinal: number;
}

/**
 * Turns the messages of one replication stream into records, and knows where it is.
 *
 * A place in the stream is the LSN of a commit and the ordinal of a change in its transaction: how many
 * Insert, Update, Delete, Truncate and logical Messages it had so far, captured or not. Decoding is
 * deterministic, so a restart that is given the last published place skips exactly what was published:
 * transactions that commit before it whole, and of the one that commits there the first `ordinal`. A
 * logical message outside transactions is a place of its own, by its last byte.
 *
 * If `push` throws, the change it threw for is not in the buffer and the encoder is of no further use.
 */
export class StreamEncoder {
  readonly #tables = new KnownTables();
  readonly #relations = new Map<number, Relation>();
  readonly #event = new ChangeEvent();
  readonly #rows = new ChangeRows();
  #resume: StreamPosition | null;
  #skip = 0;
  readonly #topics: StreamTopics;
  readonly #transaction = new Transaction();
  #ordinal = 0;
  #changes = 0;
  #ends = 0;
  /** Last byte of the last logical message outside transactions. */
  #messageLsn = -1n;
  #inTransaction = false;
  #relation: Relation | null = null;
  #pending: StreamMessage | null = null;

  /** The update that is encoded was looked up. */
  #answered = false;
  readonly #follows: (table: string, commitLsn: bigint) => boolean;

  constructor(options: {
    readonly resume: StreamPosition | null;
    readonly topics?: StreamTopics;
    /** Whether rows of the table `schema.table` that move in a transaction are to be looked up. */
    readonly follows?: (table: string, commitLsn: bigint) => boolean;
  }) {
    this.#resume = options.resume;
    this.#follows = options.follows ?? (() => false);
    this.#topics = options.topics ?? { messages: null, order: null, schemas: null };
  }

  /** LSN of the commit of the transaction that is, or was last, being read. */
  get commitLsn(): bigint {
    const { commitHigh, commitLow } = this.#transaction;
    return lsnOf(commitHigh, commitLow);
  }

  /** Of that transaction, as the stream tells it. */
  get xid(): number {
    return this.#transaction.xid;
  }

  /** Where the last complete transaction ended; null before the first. */
  get endLsn(): bigint | null {
    const lsn = lsnOf(this.#transaction.endHigh, this.#transaction.endLow);
    return lsn === 0n ? null : lsn;
  }

  /**
   * The place that has been reached; null before the first transaction or message. Between transactions
   * that is all of the last one, or of the last logical message after it.
   */
  get place(): StreamPosition | null {
    const { commitLsn } = this;
    if (this.#inTransaction) return { commitLsn, ordinal: this.#ordinal };
    const committed = this.endLsn === null ? -1n : commitLsn;
    const lsn = committed > this.#messageLsn ? committed : this.#messageLsn;
    return lsn < 0n ? null : { commitLsn: lsn, ordinal: COMPLETE };
  }

  get ordinal(): number {
    return this.#ordinal;
  }

  get inTransaction(): boolean {
    return this.#inTransaction;
  }

  /** Row changes, truncations and logical messages written so far, not counting what was skipped. */
  get changes(): number {
    return this.#changes;
  }

  /** The same and ends of transactions: goes up when there is something to deliver. */
  get written(): number {
    return this.#changes + this.#ends;
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
    this.#tables.define(oid, table);
    if (table !== null) this.#topics.schemas?.described(table.table);
    this.#relation = null;
    const pending = this.#pending;
    this.#pending = null;
    if (pending !== null && this.#encode(pending) === PUSHED.needsTable) {
      throw unexpected('A column is null again after its table was defined as having null there.');
    }
  }

  /** The update of which `needsRow` was said, with all that could be found. */
  answer(message: StreamMessage): Pushed {
    this.#answered = true;
    return this.#encode(message);
  }

  push(message: StreamMessage): Pushed {
    const { bytes, start } = message;
    const letter = bytes[start] as number;
    const tables = this.#tables;
    const rows = this.#rows;
    const { order } = this.#topics;
    switch (letter) {
      case LETTER.insert:
      case LETTER.update:
      case LETTER.delete:
      case LETTER.truncate:
        if (this.#ordinal >= this.#skip) return this.#encode(message);
        if (order !== null && this.#skip !== Infinity) recount(message, { tables, rows, order });
        this.#ordinal++;
        return PUSHED.consumed;
      case LETTER.begin:
        this.#begin(message);
        return PUSHED.consumed;
      case LETTER.commit:
        this.#transaction.commit(message);
        this.#inTransaction = false;
        if (this.#topics.order?.end() === true) this.#ends++;
        return PUSHED.committed;
      case LETTER.relation:
        this.#relation = parseRelation(reader(message));
        this.#relations.set(this.#relation.oid, this.#relation);
        return PUSHED.needsTable;
      case LETTER.origin:
        this.#event.from(parseOrigin(reader(message)));
        return PUSHED.consumed;
      case LETTER.message:
        return this.#inTransaction ? this.#message(message) : this.#between(message);
      // A Type only names an oid that the catalogue knows.
      case LETTER.type:
        return PUSHED.consumed;
      default:
        throw unexpected(`A replication message of kind ${letter} is not known.`);
    }
  }

  #begin(message: StreamMessage): void {
    this.#transaction.begin(message);
    this.#topics.order?.begin(this.#transaction);
    this.#event.begin(this.#transaction, this.#topics.order);
    this.#ordinal = 0;
    this.#inTransaction = true;
    this.#skip = 0;
    if (this.#resume === null) return;
    const { commitLsn } = this;
    if (commitLsn > this.#resume.commitLsn) this.#resume = null;
    else if (commitLsn === this.#resume.commitLsn && this.#resume.ordinal !== COMPLETE) {
      this.#skip = this.#resume.ordinal;
    } else this.#skip = Infinity;
  }

  /** A logical message of the transaction. */
  #message(message: StreamMessage): Pushed {
    const { messages, order } = this.#topics;
    const read = parseMessage(reader(message));
    if (messages?.captures(read.prefix) === true) {
      if (this.#ordinal >= this.#skip) {
        this.#event.at(message.lsnHigh, message.lsnLow);
        messages.write(read, this.#event);
        this.#changes++;
      } else if (this.#skip !== Infinity) order?.published(MESSAGE_COLLECTION, 1);
    }
    this.#ordinal++;
    return PUSHED.consumed;
  }

  /** A logical message outside transactions: it comes when all commits before it have come. */
  #between(message: StreamMessage): Pushed {
    const { messages } = this.#topics;
    const read = parseMessage(reader(message));
    // The server gives the LSN after a message, where a commit may begin: its own last byte is the place.
    const lsn = lsnOf(message.lsnHigh, message.lsnLow) - 1n;
    const isPublished = this.#resume !== null && lsn <= this.#resume.commitLsn;
    if (messages?.captures(read.prefix) === true && !isPublished) {
      this.#event.between(this.#transaction);
      this.#event.at(message.lsnHigh, message.lsnLow);
      messages.write(read, this.#event);
      this.#changes++;
    }
    this.#messageLsn = lsn;
    return PUSHED.consumed;
  }

  /** Counts the change when it is written, so that the place never says more than the buffer has. */
  #encode(message: StreamMessage): Pushed {
    const { bytes, start } = message;
    this.#event.at(message.lsnHigh, message.lsnLow);
    const letter = bytes[start];
    if (letter === LETTER.truncate) return this.#truncate(message);
    const table = this.#tables.find(int32At(bytes, start + 1) >>> 0);
    if (table === null) {
      this.#ordinal++;
      return PUSHED.consumed;
    }
    const rows = this.#rows;
    const hasOld = rows.read(message);
    const event = this.#event;
    let written: boolean;
    if (letter === LETTER.insert) written = table.insert(rows.row, event);
    else if (letter === LETTER.delete) written = table.delete(rows.old, event);
    else {
      if (hasOld && !this.#answered && this.#isWanted(table)) return PUSHED.needsRow;
      written = table.update(hasOld ? rows.old : null, rows.row, event);
    }
    if (!written) return this.#refused(message);
    this.#answered = false;
    this.#wrote(table);
    this.#ordinal++;
    return PUSHED.consumed;
  }

  /** Whether values are to be looked up that an update of a key has left out. */
  #isWanted(table: TableEncoder): boolean {
    const { row, old } = this.#rows;
    if (old.full || !lacksValues(row, table.table) || !table.moves(old, row)) return false;
    return this.#follows(table.name, this.commitLsn);
  }

  #truncate(message: StreamMessage): Pushed {
    for (const oid of parseTruncate(reader(message))) {
      const table = this.#tables.find(oid);
      if (table === null) continue;
      table.truncate(this.#event);
      this.#wrote(table);
    }
    this.#ordinal++;
    return PUSHED.consumed;
  }

  #wrote({ table }: TableEncoder): void {
    this.#changes++;
    const { schemas } = this.#topics;
    if (schemas?.waits === true) schemas.tell(table.oid, this.#event);
  }

  /**
   * A column is null that the catalogue says is never null: it must have been made so after this
   * change. The table is asked for again, and the change written when it is there.
   */
  #refused(message: StreamMessage): Pushed {
    const { bytes, start, end } = message;
    const relation = this.#relations.get(int32At(bytes, start + 1) >>> 0);
    if (relation === undefined) throw unexpected('A change came before its table was described.');
    this.#relation = withNulls(relation, (index) => this.#rows.isNull(index, bytes[start]));
    this.#relations.set(relation.oid, this.#relation);
    this.#pending = { ...message, bytes: Buffer.from(bytes.subarray(start, end)), start: 0 };
    this.#pending.end = end - start;
    return PUSHED.needsTable;
  }
}
