import type { OutgoingBuffer } from '../../broker/outgoing-buffer.ts';
import type { ChangeBatch } from '../connector.ts';
import type { Connection } from './connection.ts';
import type { CopyRunner } from './copy-runner.ts';
import { Doorbell } from './doorbell.ts';
import type { ResolvedOptions } from './options.ts';
import { OutgoingExchange } from './outgoing-exchange.ts';
import { PUSHED, StreamEncoder } from './stream-encoder.ts';
import type { StreamTables } from './stream-tables.ts';
import type { StreamTopics } from './stream-topics.ts';
import { COMPLETE, flushLsn, formatPosition, type WalPosition } from './wal-position.ts';
import { WalReceiver, type WalHandler } from './wal-receiver.ts';

/**
 * Changes of a slot as batches. Two things go on at once: the receiver decodes what comes into one
 * buffer, and the caller publishes what was taken from it. Decoding stops when the buffer holds a full
 * batch, and with it the socket: that is all of the back-pressure (I9).
 */
export class WalStream implements AsyncDisposable {
  readonly #options: ResolvedOptions;
  readonly #receiver: WalReceiver;
  readonly #encoder: StreamEncoder;
  readonly #tables: StreamTables;
  readonly #copies: CopyRunner;
  readonly #buffer: OutgoingBuffer;
  readonly #exchange = new OutgoingExchange();
  readonly #bell = new Doorbell();
  readonly #timer: NodeJS.Timeout;
  readonly #flushed: () => bigint;
  /** What was last delivered, and how much until then. */
  #delivered: WalPosition;
  #changesDelivered = 0;
  #writtenDelivered = 0;
  /** The server has sent everything before this. */
  #walEnd = 0n;
  #idleAt = performance.now();
  #idleWanted = false;
  #defining = false;
  #failure: { readonly error: unknown } | null = null;

  constructor(
    connection: Connection,
    from: {
      readonly options: ResolvedOptions;
      readonly after: WalPosition;
      readonly tables: StreamTables;
      /** Where everything is written. */
      readonly buffer: OutgoingBuffer;
      readonly topics: StreamTopics;
      readonly copies: CopyRunner;
      /** I1: what the server may forget, as far as it was acknowledged. */
      readonly flushed: () => bigint;
    },
  ) {
    const { options, after } = from;
    this.#options = options;
    connection.release();
    this.#tables = from.tables;
    this.#buffer = from.buffer;
    this.#copies = from.copies;
    this.#copies.attach(() => this.#bell.ring());
    this.#delivered = after;
    this.#flushed = from.flushed;
    this.#encoder = new StreamEncoder({ resume: after, topics: from.topics });
    this.#receiver = new WalReceiver(connection, this.#handler, options.silenceMsMax);
    this.#receiver.start({
      slot: options.slot,
      publication: options.publication,
      startLsn: flushLsn(after),
      binary: from.tables.binary,
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
      if (this.#copies.due) yield* this.#copies.batches(this.#delivered);
      const batch = this.#take();
      if (batch === null && this.#copies.due) continue;
      if (batch === null) await this.#bell.heard(signal);
      else yield batch;
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
  #take(): ChangeBatch | null {
    const encoder = this.#encoder;
    const changes = encoder.changes - this.#changesDelivered;
    if (this.#waiting === 0 && !this.#idleDue()) return null;
    const at = this.#withCopies(this.#reached());
    this.#delivered = at;
    this.#changesDelivered = encoder.changes;
    this.#writtenDelivered = encoder.written;
    this.#idleAt = performance.now();
    this.#idleWanted = false;
    const batch = {
      outgoing: this.#exchange.take(this.#buffer),
      position: formatPosition(at),
      changes,
      committedAt: changes === 0 ? null : encoder.committedAt,
    };
    if (!this.#defining) this.#receiver.resume();
    return batch;
  }

  /**
   * A position says what is copied as well, until there is nothing any more and the place is another:
   * at the same place the greater step is the later text.
   */
  #withCopies(at: WalPosition): WalPosition {
    const { jobs } = this.#copies;
    const { commitLsn, ordinal } = this.#delivered;
    const moved = at.commitLsn !== commitLsn || at.ordinal !== ordinal;
    return { ...at, copies: jobs.none && moved ? null : jobs.state };
  }

  /** How far we are with all that is decoded. Never before what was delivered (I2). */
  #reached(): WalPosition {
    const { place, inTransaction } = this.#encoder;
    if (place !== null && inTransaction) return { ...place, snapshot: null };
    // Between transactions the server's own progress counts too: all commits before it have come.
    const done = place?.commitLsn ?? -1n;
    const idle = this.#walEnd - 1n;
    const lsn = done > idle ? done : idle;
    const before = this.#delivered.commitLsn;
    if (lsn < before || (lsn === before && lsn !== done)) return this.#delivered;
    return { commitLsn: lsn, ordinal: COMPLETE, snapshot: null };
  }

  /**
   * Without changes of ours the slot would hold back the WAL of everybody else, so now and then the
   * server's progress becomes a position of its own. A server that shuts down asks for a reply and waits
   * until everything is flushed: it gets its position at once.
   */
  #idleDue(): boolean {
    if (this.#encoder.inTransaction) return false;
    const elapsed = performance.now() - this.#idleAt;
    if (!this.#idleWanted && elapsed < this.#options.idlePositionIntervalMs) return false;
    return flushLsn(this.#reached()) > flushLsn(this.#delivered);
  }

  #tick(): void {
    this.#sendStatus();
    if (this.#idleDue()) this.#bell.ring();
  }

  #sendStatus(): void {
    const read = this.#encoder.endLsn ?? 0n;
    const flushed = this.#flushed();
    const written = read > this.#walEnd ? read : this.#walEnd;
    this.#receiver.sendStatus(written > flushed ? written : flushed, flushed);
  }

  readonly #handler: WalHandler = {
    chunkBegins: () => this.#encoder.processedAt(Date.now()),
    change: (message) => {
      const pushed = this.#encoder.push(message);
      if (pushed !== PUSHED.needsTable) return true;
      void this.#define();
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
      const { batchRowsMax, batchBytesMax } = this.#options;
      // I9: the socket is read no further than that, however large the transaction is.
      return waiting < batchRowsMax && this.#buffer.bytes < batchBytesMax;
    },
    failed: (error) => {
      this.#failure ??= { error };
      this.#bell.ring();
    },
  };

  /** The table that the stream describes next is looked up while the stream waits. */
  async #define(): Promise<void> {
    const { relation } = this.#encoder;
    if (relation === null) return;
    this.#defining = true;
    try {
      const encoder = await this.#tables.encoderOf(relation, this.#buffer);
      this.#encoder.define(relation.oid, encoder);
    } catch (error) {
      this.#handler.failed(error);
      return;
    }
    this.#defining = false;
    this.#receiver.resume();
  }
}
