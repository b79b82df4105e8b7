import type { RecordHead } from '../../broker/records.ts';
import { ByteWriter } from '../../schemas/byte-writer.ts';
import type { Origin, Transaction } from './pgoutput.ts';
import type { TransactionOrder } from './transaction-order.ts';

/**
 * The change that is being written, apart from its row: one object for a whole stream. It is told the
 * time once per chunk, the transaction at its begin, and the LSN of every change.
 */
export class ChangeEvent {
  lsnHigh = 0;
  lsnLow = 0;
  /** Goes up when something changes that all events of a transaction share: the fields below. */
  revision = 0;
  /** What `source.snapshot` says, in Debezium's words. */
  snapshot: 'false' | 'true' | 'incremental' = 'false';
  /** Commit time, microseconds since 1970; of a snapshot, when it was taken. */
  micros = 0;
  /** -1 if there is none. */
  xid = -1;
  origin: Origin | null = null;
  /** Of the transaction that the events belong to; null if that is not told or there is none. */
  order: TransactionOrder | null = null;
  /** Where the transaction before ended, if that is known. */
  hasLastCommit = false;
  lastCommitHigh = 0;
  lastCommitLow = 0;
  readonly head: RecordHead = { timestamp: 0, op: 0, versionHigh: 0, versionLow: 0 };
  #processed: Buffer = processedTimes(0);
  #processedMillis = 0;

  begin(transaction: Transaction, order: TransactionOrder | null): void {
    this.micros = transaction.micros;
    this.xid = transaction.xid;
    this.order = order;
    this.#after(transaction);
  }

  /**
   * For what belongs to no transaction, between two. The protocol does not say when it was written: the
   * time of processing stands for it.
   */
  between(last: Transaction): void {
    this.micros = Math.floor(this.#processedMillis * 1000);
    this.xid = -1;
    this.order = null;
    this.#after(last);
  }

  #after(transaction: Transaction): void {
    this.origin = null;
    // Zero until a first Commit was seen.
    this.lastCommitHigh = transaction.endHigh;
    this.lastCommitLow = transaction.endLow;
    this.hasLastCommit = transaction.endHigh !== 0 || transaction.endLow !== 0;
    this.revision++;
  }

  from(origin: Origin): void {
    this.origin = origin;
    this.revision++;
  }

  at(lsnHigh: number, lsnLow: number): void {
    this.lsnHigh = this.head.versionHigh = lsnHigh;
    this.lsnLow = this.head.versionLow = lsnLow;
  }

  /** The envelope's own `ts_ms`, `ts_us`, `ts_ns` as Avro, each after its union branch. */
  get processed(): Buffer {
    return this.#processed;
  }

  /** Milliseconds since 1970, with fractions if there are any. To be called before the first change. */
  processedAt(millis: number): void {
    this.head.timestamp = Math.floor(millis);
    this.#processedMillis = millis;
    this.#processed = processedTimes(millis);
  }
}

function processedTimes(millis: number): Buffer {
  const out = new ByteWriter(64);
  out.byte(2);
  out.long(Math.floor(millis));
  writeMicrosAndNanos(Math.floor(millis * 1000), out);
  return Buffer.from(out.written());
}

/** Two optional longs: microseconds and the same in nanoseconds, which is past 2^53. */
export function writeMicrosAndNanos(micros: number, out: ByteWriter): void {
  out.byte(2);
  out.long(micros);
  out.byte(2);
  const high = Math.floor(micros / 0x1_0000_0000);
  const low = (micros - high * 0x1_0000_0000) * 1000;
  out.longWords((high * 1000 + Math.floor(low / 0x1_0000_0000)) | 0, low | 0);
}

/** The event that every row of a snapshot is written with; `lsn` is its version. */
export function snapshotEvent(
  lsn: bigint,
  micros: number,
  kind: 'true' | 'incremental' = 'true',
): ChangeEvent {
  const event = new ChangeEvent();
  event.snapshot = kind;
  event.micros = micros;
  event.at(Number(BigInt.asIntN(32, lsn >> 32n)), Number(BigInt.asIntN(32, lsn)));
  event.processedAt(micros / 1000);
  return event;
}
