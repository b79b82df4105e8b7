import { MillraceError } from '../../errors.ts';
import { offset, type TopicPartition } from '../broker.ts';
import { type RecordHead, RecordWriter, type Segment } from '../records.ts';
import { decompress } from './compression.ts';
import { crc32c } from './crc32c.ts';
import type { AbortedTransaction } from './fetch-message.ts';
import {
  BATCH_HEAD_BYTES,
  BATCH_PREFIX_BYTES,
  CODEC_MASK,
  CONTROL,
  CRC_FROM,
  LOG_APPEND_TIME,
  OP_HEADER,
  TRANSACTIONAL,
  VERSION_HEADER,
} from './record-batch.ts';

/** A batch of records to be delivered, as it was stored. */
export interface StoredBatch {
  readonly bytes: Buffer;
  readonly base: number;
  /** Offset after its last record, also of one that compaction has taken. */
  readonly next: number;
}

export interface CommittedBatches {
  readonly batches: readonly StoredBatch[];
  /** Where to read on: past what was undone, and past the marks of transactions. */
  readonly next: number;
}

/**
 * What of a fetched partition is committed: batches of transactions that were undone are left out, as are
 * the marks that end transactions. The cluster lists undone transactions in the order in which they ended;
 * here they come into force in the order in which they began, and each until its mark.
 *
 * Source: Kafka documentation, "Control Batches"; `CompletedFetch` of the Java client.
 */
export function committedBatches(
  {
    batches: bytes,
    aborted,
  }: { readonly batches: Buffer; readonly aborted: readonly AbortedTransaction[] },
  from: TopicPartition & { readonly next: number },
): CommittedBatches {
  const beginning = aborted.toSorted((a, b) => a.first - b.first);
  const undone = new Set<bigint>();
  const batches: StoredBatch[] = [];
  let began = 0;
  let { next } = from;
  for (let at = 0; at + BATCH_HEAD_BYTES <= bytes.length;) {
    const end = at + BATCH_PREFIX_BYTES + bytes.readInt32BE(at + 8);
    if (end > bytes.length) break;
    const batch = bytes.subarray(at, end);
    at = end;
    requireIntact(batch, from);
    const base = Number(batch.readBigInt64BE(0));
    const after = base + batch.readInt32BE(23) + 1;
    if (after <= next) continue;
    const attributes = batch.readInt16BE(21);
    const producerId = batch.readBigInt64BE(43);
    for (
      let one = beginning[began];
      one !== undefined && one.first < after;
      one = beginning[began]
    ) {
      undone.add(one.producerId);
      began++;
    }
    next = after;
    if ((attributes & CONTROL) !== 0) undone.delete(producerId);
    else if ((attributes & TRANSACTIONAL) !== 0 && undone.has(producerId)) continue;
    else batches.push({ bytes: batch, base, next: after });
  }
  return { batches, next };
}

function requireIntact(batch: Buffer, { topic, partition }: TopicPartition): void {
  const MAGIC = 2;
  const place = `${topic}-${partition}`;
  if (batch[16] !== MAGIC) {
    throw new MillraceError('BROKER_VERSION', `Records have format ${batch[16]}.`, {
      place,
      expected: 'format 2, which Kafka has since 0.11',
    });
  }
  if (crc32c(batch, CRC_FROM) !== batch.readUInt32BE(17)) {
    throw new MillraceError('BROKER_CORRUPT', 'A batch of records does not match its checksum.', {
      place: `${place}, offset ${batch.readBigInt64BE(0)}`,
    });
  }
}

/** The records of a batch from an offset on, packed as all our stages have them. */
export function segmentOf(
  { bytes: batch, base }: StoredBatch,
  from: TopicPartition & { readonly next: number },
): Segment {
  const place = (): string => `${from.topic}-${from.partition}, offset ${base}`;
  const attributes = batch.readInt16BE(21);
  const body = decompress(batch.subarray(BATCH_HEAD_BYTES), attributes & CODEC_MASK, place);
  const times = {
    base: Number(batch.readBigInt64BE(27)),
    appended: (attributes & LOG_APPEND_TIME) === 0 ? null : Number(batch.readBigInt64BE(35)),
  };
  const reader = new RecordReader(body, times);
  const total = batch.readInt32BE(57);
  const writer = new RecordWriter(body.length + 40 * total);
  let count = 0;
  try {
    for (let index = 0; index < total; index++) {
      if (reader.read(writer, from.next - base)) count++;
    }
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new MillraceError('BROKER_CORRUPT', 'A batch of records ends too early.', {
      place: place(),
      cause,
    });
  }
  return { base: offset(base), bytes: writer.written(), count };
}

interface BatchTimes {
  /** What the times of records are counted from. */
  readonly base: number;
  /** The time of all of them, if the cluster has set it. */
  readonly appended: number | null;
}

/** Walks the records of a batch. */
class RecordReader {
  readonly #bytes: Buffer;
  readonly #times: BatchTimes;
  readonly #head: RecordHead = { timestamp: 0, op: 0, versionHigh: 0, versionLow: 0 };
  #at = 0;
  /** Headers of the record that are not ours. */
  #others = 0;

  constructor(bytes: Buffer, times: BatchTimes) {
    this.#bytes = bytes;
    this.#times = times;
  }

  /** Adds the next record to a writer unless its delta is below `from`. */
  read(writer: RecordWriter, from: number): boolean {
    const size = this.#long();
    const end = this.#at + size;
    if (end > this.#bytes.length) throw new RangeError('a record is cut');
    this.#at++;
    const time = this.#long();
    const delta = this.#long();
    if (delta < from) {
      this.#at = end;
      return false;
    }
    const key = this.#slice();
    const valueSize = this.#long();
    const valueAt = this.#at;
    this.#at += Math.max(valueSize, 0);
    const headersAt = this.#at;
    this.#readOwnHeaders();
    this.#head.timestamp = this.#times.appended ?? this.#times.base + time;
    writer.count = delta;
    writer.start(this.#head, key);
    if (valueSize < 0) writer.nullValue();
    else {
      writer.out.raw(this.#bytes, valueAt, valueAt + valueSize);
      writer.endValue();
    }
    if (this.#others > 0) {
      this.#at = headersAt;
      this.#copyHeaders(writer);
    }
    writer.finish();
    this.#at = end;
    return true;
  }

  /** Puts op and version into the head, and counts the headers that are neither. */
  #readOwnHeaders(): void {
    const head = this.#head;
    head.op = head.versionHigh = head.versionLow = 0;
    head.versionKnown = false;
    const count = this.#long();
    this.#others = count;
    for (let left = count; left > 0; left--) {
      const nameAt = this.#at;
      this.#passSlice();
      const size = this.#long();
      const valueAt = this.#at;
      this.#at += Math.max(size, 0);
      if (size === 1 && this.#isName(nameAt, OP_HEADER)) {
        head.op = this.#bytes[valueAt] as number;
        this.#others--;
      } else if (size === 8 && this.#isName(nameAt, VERSION_HEADER)) {
        head.versionHigh = this.#bytes.readInt32BE(valueAt);
        head.versionLow = this.#bytes.readInt32BE(valueAt + 4);
        head.versionKnown = true;
        this.#others--;
      }
    }
  }

  #copyHeaders(writer: RecordWriter): void {
    for (let left = this.#long(); left > 0; left--) {
      const nameAt = this.#at;
      const name = this.#slice();
      const value = this.#slice();
      const size = value?.length;
      const own =
        (size === 1 && this.#isName(nameAt, OP_HEADER)) ||
        (size === 8 && this.#isName(nameAt, VERSION_HEADER));
      if (!own && name !== null) writer.header(name, value);
    }
  }

  /** Whether a name that starts at `at`, its size before it, is that one. */
  #isName(at: number, name: Buffer): boolean {
    const bytes = this.#bytes;
    const size = name.length;
    // Zigzag, in one byte.
    if (bytes[at] !== 2 * size) return false;
    for (let index = 0; index < size; index++) {
      if (bytes[at + 1 + index] !== name[index]) return false;
    }
    return true;
  }

  #passSlice(): void {
    const size = this.#long();
    this.#at += Math.max(size, 0);
  }

  #slice(): Buffer | null {
    const size = this.#long();
    if (size < 0) return null;
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }

  /** A zigzag varint of at most 53 bits. */
  #long(): number {
    const bytes = this.#bytes;
    let byte = bytes[this.#at++] as number;
    if (byte < 0x80) return byte & 1 ? -(byte >>> 1) - 1 : byte >>> 1;
    let value = byte & 0x7f;
    for (let scale = 0x80; byte >= 0x80; scale *= 0x80) {
      if (this.#at >= bytes.length) throw new RangeError('a number is cut');
      byte = bytes[this.#at++] as number;
      value += (byte & 0x7f) * scale;
    }
    return value % 2 === 1 ? -(value - 1) / 2 - 1 : value / 2;
  }
}
