import type { ChangeBatch } from '../connector.ts';
import type { Connection } from './connection.ts';
import type { CopyStream } from './keyless-copies.ts';
import { Doorbell } from './doorbell.ts';
import type { MovedRows } from './moved-rows.ts';
import { OutgoingExchange } from './outgoing-exchange.ts';
import { LETTER, type Relation } from './pgoutput.ts';
import { StreamCuts, type TableCut } from './stream-cuts.ts';
import { copyOf, type StreamMessage } from './stream-message.ts';
import type { StreamParts } from './stream-parts.ts';
import type { TableEncoder } from './table-encoder.ts';
import { int32At } from './types/type-codec.ts';
import { PUSHED } from './pushed.ts';
import { StreamEncoder } from './stream-encoder.ts';
import { COMPLETE, flushLsn, formatPosition, type WalPosition } from './wal-position.ts';
import { WalReceiver, type WalHandler } from './wal-receiver.ts';

/**
 * Changes of a slot as batches. Two things go on at once: the receiver decodes what comes into one
 * buffer, and the caller publishes what was taken from it. Decoding stops when the buffer holds a full
 * batch, and with it the socket: that is all of the back-pressure (I9).
 */
export class WalStream implements CopyStream, AsyncDisposable {
  readonly #parts: StreamParts;
  readonly #receiver: WalReceiver;
  readonly #encoder: StreamEncoder;
  readonly #exchange = new OutgoingExchange();
  readonly #bell = new Doorbell();
  readonly #timer: NodeJS.Timeout;
  /** What all positions of this stream have. */
  readonly #common: Pick<WalPosition, 'snapshot' | 'timeline'>;
  /** What was last delivered, and how much until then. */
  #delivered: WalPosition;
  #changesDelivered = 0;
  #writtenDelivered = 0;
  /** The server has sent everything before this. */
  #walEnd = 0n;
  #idleAt = performance.now();
  #idleWanted = false;
  #definition: Promise<void> | null = null;
  /** As they were defined; a cut may leave one out for a while. */
  readonly #encoders = new Map<number, TableEncoder | null>();
  readonly #cuts: StreamCuts;
  /** A copy wants nothing to be decoded. */
  #still = false;
  /** A change that waits for the rows before it. */
  #delayed: StreamMessage | null = null;
  #failure: { readonly error: unknown } | null = null;

  constructor(connection: Connection, parts: StreamParts) {
    const { options, after, moved } = parts;
    this.#parts = parts;
    connection.release();
    this.#parts.copies.attach(this);
    this.#delivered = after;
    const { timeline } = after;
    this.#common = { snapshot: null, ...(timeline === undefined ? {} : { timeline }) };
    const follows: MovedRows['follows'] = (table, commitLsn) => moved.follows(table, commitLsn);
    this.#encoder = new StreamEncoder({ resume: after, topics: parts.topics, follows });
    this.#cuts = new StreamCuts(after.copies?.cuts ?? [], (oid) => this.#redefine(oid));
    this.#receiver = new WalReceiver(connection, this.#handler, options.silenceMsMax);
    this.#receiver.start({
      slot: options.slot,
      publication: options.publication,
      startLsn: flushLsn(after),
      binary: parts.tables.binary,
    });
    this.#timer = setInterval(() => this.#tick(), options.statusIntervalMs);
    this.#timer.unref();
  }

  /** Ends when the signal aborts; throws what ended the stream. */
  async *batches(signal: AbortSignal): AsyncGenerator<ChangeBatch> {
    for (;;) {
      if (signal.aborted) return;
      if (this.#failure !== null) throw this.#failure.error;
      // A copy is given its turn between two batches, and the stream between two ranges of a copy.
      if (this.#parts.copies.due) yield* this.#parts.copies.batches();
      const batch = this.take();
      if (batch === null && this.#parts.copies.due) continue;
      if (batch === null) await this.#bell.heard(signal);
      else yield batch;
    }
  }

  ring(): void {
    this.#bell.ring();
  }

  get delivered(): WalPosition {
    return this.#delivered;
  }

  /** Decodes nothing more until {@link moveOn}; what was decoded is to be had by {@link take}. */
  async standStill(): Promise<void> {
    this.#still = true;
    this.#receiver.hold();
    await this.#definition;
  }

  moveOn(): void {
    this.#still = false;
    this.#goOn();
  }

  /** The stream stands still, and all that it has decoded was seen by the copy. */
  cut(cut: TableCut): void {
    this.#cuts.add(cut);
  }

  /** What waited for the rows of a copy goes on. */
  copied(oid: number): void {
    this.#cuts.read(oid);
    const delayed = this.#delayed;
    this.#delayed = null;
    try {
      if (delayed !== null && this.#push(delayed)) this.#goOn();
    } catch (error) {
      this.fail(error);
    }
  }

  /** Ends the stream with an error from outside. */
  fail(error: unknown): void {
    this.#handler.failed(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#sendStatus();
    await this.#receiver.stop();
  }

  /** Written since the last delivery. */
  get #waiting(): number {
    return this.#encoder.written - this.#writtenDelivered;
  }

  /** What is decoded by now; null if that is nothing. */
  take(): ChangeBatch | null {
    const encoder = this.#encoder;
    const changes = encoder.changes - this.#changesDelivered;
    if (this.#waiting === 0 && !this.#idleDue()) return null;
    const reached = this.#reached();
    if (this.#definition === null) {
      if (!this.#cuts.none) this.#cuts.pass(reached.commitLsn);
      this.#parts.copies.jobs.passed(reached.commitLsn);
    }
    const at = this.#withCopies(reached);
    this.#delivered = at;
    this.#changesDelivered = encoder.changes;
    this.#writtenDelivered = encoder.written;
    this.#idleAt = performance.now();
    this.#idleWanted = false;
    const batch = {
      outgoing: this.#exchange.take(this.#parts.buffer),
      position: formatPosition(at),
      changes,
      committedAt: changes === 0 ? null : encoder.committedAt,
    };
    this.#goOn();
    return batch;
  }

  #goOn(): void {
    if (this.#definition !== null || this.#still || this.#delayed !== null) return;
    this.#receiver.resume();
  }

  /**
   * A position says what is copied as well, until there is nothing any more and the place is another:
   * at the same place the greater step is the later text.
   */
  #withCopies(at: WalPosition): WalPosition {
    const { jobs } = this.#parts.copies;
    const { commitLsn, ordinal } = this.#delivered;
    const moved = at.commitLsn !== commitLsn || at.ordinal !== ordinal;
    return { ...at, copies: jobs.none && moved ? null : jobs.state };
  }

  /** How far we are with all that is decoded. Never before what was delivered (I2). */
  #reached(): WalPosition {
    const { place, inTransaction } = this.#encoder;
    if (place !== null && inTransaction) return { ...this.#common, ...place };
    // Between transactions the server's own progress counts too: all commits before it have come.
    const done = place?.commitLsn ?? -1n;
    const idle = this.#walEnd - 1n;
    const lsn = done > idle ? done : idle;
    const before = this.#delivered.commitLsn;
    if (lsn < before || (lsn === before && lsn !== done)) return this.#delivered;
    return { ...this.#common, commitLsn: lsn, ordinal: COMPLETE };
  }

  /**
   * Without changes of ours the slot would hold back the WAL of everybody else, so now and then the
   * server's progress becomes a position of its own. A server that shuts down asks for a reply and waits
   * until everything is flushed: it gets its position at once.
   */
  #idleDue(): boolean {
    if (this.#encoder.inTransaction) return false;
    const elapsed = performance.now() - this.#idleAt;
    if (!this.#idleWanted && elapsed < this.#parts.options.idlePositionIntervalMs) return false;
    return flushLsn(this.#reached()) > flushLsn(this.#delivered);
  }

  #tick(): void {
    this.#sendStatus();
    if (this.#idleDue()) this.#bell.ring();
  }

  #sendStatus(): void {
    const read = this.#encoder.endLsn ?? 0n;
    const flushed = this.#parts.flushed();
    const written = read > this.#walEnd ? read : this.#walEnd;
    this.#receiver.sendStatus(written > flushed ? written : flushed, flushed);
  }

  readonly #handler: WalHandler = {
    chunkBegins: () => this.#encoder.processedAt(Date.now()),
    change: (message) => {
      if (this.#cuts.none || !this.#cuts.delays(message)) return this.#push(message);
      this.#delayed = copyOf(message);
      return false;
    },
    keepalive: (walEnd, replyWanted) => {
      if (walEnd > this.#walEnd) this.#walEnd = walEnd;
      if (!replyWanted) return;
      this.#idleWanted = true;
      this.#sendStatus();
    },
    chunkEnds: () => {
      const waiting = this.#waiting;
      if (waiting > 0 || this.#idleDue()) this.#bell.ring();
      const { batchRowsMax, batchBytesMax } = this.#parts.options;
      // I9: the socket is read no further than that, however large the transaction is.
      return waiting < batchRowsMax && this.#parts.buffer.bytes < batchBytesMax;
    },
    failed: (error) => {
      this.#failure ??= { error };
      this.#bell.ring();
    },
  };

  /** False: decode nothing more for now. */
  #push(message: StreamMessage): boolean {
    const pushed = this.#encoder.push(message);
    if (!this.#cuts.none && message.bytes[message.start] === LETTER.begin) {
      const xid = int32At(message.bytes, message.start + 17);
      this.#cuts.begins(xid, this.#encoder.commitLsn);
    }
    if (pushed === PUSHED.needsRow) {
      this.#definition = this.#complete(copyOf(message));
      return false;
    }
    if (pushed !== PUSHED.needsTable) return true;
    const { relation } = this.#encoder;
    if (relation !== null) this.#definition = this.#define(relation);
    return false;
  }

  /** An update that lacks values of a row which has moved is completed while the stream waits. */
  async #complete(message: StreamMessage): Promise<void> {
    const encoder = this.#encoder;
    try {
      const { table } = this.#encoders.get(int32At(message.bytes, 1) >>> 0) as TableEncoder;
      const whole = await this.#parts.moved.complete(message, { table, xid: encoder.xid });
      const { relation } =
        encoder.answer(whole) === PUSHED.needsTable ? encoder : { relation: null };
      if (relation !== null) return await this.#define(relation);
    } catch (error) {
      this.#handler.failed(error);
      return;
    }
    this.#definition = null;
    this.#bell.ring();
    this.#goOn();
  }

  /** The table that the stream describes next is looked up while the stream waits. */
  async #define(relation: Relation): Promise<void> {
    try {
      const encoder = await this.#parts.tables.encoderOf(relation, this.#parts.buffer);
      this.#encoders.set(relation.oid, encoder);
      this.#redefine(relation.oid);
    } catch (error) {
      this.#handler.failed(error);
      return;
    }
    this.#definition = null;
    this.#goOn();
  }

  #redefine(oid: number): void {
    const encoder = this.#encoders.get(oid);
    if (encoder === undefined) return;
    this.#encoder.define(oid, this.#cuts.excludes(oid) ? null : encoder);
  }
}
