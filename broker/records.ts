import { ByteWriter } from '../schemas/byte-writer.ts';
import { isHeaderName } from './header-name.ts';
import type { Offset } from './offset.ts';

/**
 * Records of one partition, packed one after another in one buffer: what is published, stored,
 * delivered and passed on, so that a stage that changes nothing copies bytes and makes no objects.
 *
 * A record, little-endian:
 *
 * ```
 *  0 u32 size of what follows          24 u8  op: ASCII of Debezium's letter, 0 if not known
 *  4 u32 offset minus segment base     25 u8  1 if the version is known
 *  8 f64 timestamp, ms since 1970      26 u16 number of headers
 * 16 u32 version, low word             28 i32 key length, -1 for a null key
 * 20 i32 version, high word            32 i32 value length, -1 for a null value
 * 36 key, value, headers: u16 name length, name, i32 value length or -1, value
 * ```
 *
 * `op` and `version` have a place of their own because every stage of ours needs them and nothing
 * else of a record; over Kafka they travel as the headers `millrace.op` and `millrace.version`.
 */
const HEAD_BYTES = 36;
const HAS_VERSION = 1;

export interface RecordHeader {
  readonly name: string;
  readonly value: Buffer | null;
}

/** A record as an object: for tests, tools and everything that is not a hot path. */
export interface PlainRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  /** Debezium's letter: c u d r t m. */
  readonly op?: string;
  readonly version?: bigint;
  readonly headers?: readonly RecordHeader[];
}

/** Packed records whose offsets are `base + delta`. */
export interface Segment {
  readonly base: Offset;
  readonly bytes: Buffer;
  readonly count: number;
}

/** What {@link RecordWriter.start} needs besides the key. */
export interface RecordHead {
  timestamp: number;
  /** ASCII code of Debezium's letter, 0 if not known. */
  op: number;
  versionHigh: number;
  versionLow: number;
  /** Where that does not follow from the op. */
  versionKnown?: boolean;
}

/**
 * Packs records. The hot path writes `start`, then the value straight into `out`, then `endValue`,
 * any number of `header`, then `finish`; everyone else calls {@link RecordWriter.add}.
 */
export class RecordWriter {
  readonly out: ByteWriter;
  /** Records so far, and the delta of the next one; whoever leaves offsets out raises it. */
  count = 0;
  #start = 0;
  #valueStart = 0;
  #headers = 0;

  constructor(bytesInitial = 64 * 1024) {
    this.out = new ByteWriter(bytesInitial);
  }

  get bytes(): number {
    return this.out.position;
  }

  /** Begins a record; `key` null is a null key. The value is to be written to `out` next. */
  start(head: RecordHead, key: Uint8Array | null, keyEnd: number = key?.length ?? 0): void {
    const { out } = this;
    this.#start = out.position;
    this.#headers = 0;
    out.reserve(HEAD_BYTES);
    const { bytes } = out;
    const at = out.position;
    bytes.writeUInt32LE(this.count, at + 4);
    bytes.writeDoubleLE(head.timestamp, at + 8);
    bytes.writeUInt32LE(head.versionLow >>> 0, at + 16);
    bytes.writeInt32LE(head.versionHigh | 0, at + 20);
    bytes[at + 24] = head.op;
    bytes[at + 25] = (head.versionKnown ?? head.op !== 0) ? HAS_VERSION : 0;
    bytes.writeInt32LE(key === null ? -1 : keyEnd, at + 28);
    out.position = at + HEAD_BYTES;
    if (key !== null) out.raw(key, 0, keyEnd);
    this.#valueStart = out.position;
  }

  /** Begins a record with the head and the key of the one a cursor stands on; the value is to be written next. */
  startLike(cursor: RecordCursor): void {
    const { out } = this;
    this.#start = out.position;
    this.#headers = 0;
    out.raw(cursor.bytes, cursor.start, cursor.valueStart);
    out.bytes.writeUInt32LE(this.count, this.#start + 4);
    this.#valueStart = out.position;
  }

  endValue(): void {
    this.out.bytes.writeInt32LE(this.out.position - this.#valueStart, this.#start + 32);
  }

  nullValue(): void {
    this.out.bytes.writeInt32LE(-1, this.#start + 32);
  }

  header(name: Uint8Array, value: Uint8Array | null): void {
    const { out } = this;
    this.#headers++;
    out.reserve(6 + name.length);
    out.position = out.bytes.writeUInt16LE(name.length, out.position);
    out.raw(name);
    out.reserve(4);
    out.position = out.bytes.writeInt32LE(value === null ? -1 : value.length, out.position);
    if (value !== null) out.raw(value);
  }

  /** Copies the headers of the record a cursor stands on, but for those of some names. */
  headersLike(cursor: RecordCursor, ...except: readonly Uint8Array[]): void {
    const { bytes, end } = cursor;
    for (let at = cursor.valueStart + Math.max(cursor.valueLength, 0); at < end;) {
      const nameEnd = at + 2 + bytes.readUInt16LE(at);
      const next = nameEnd + 4 + Math.max(bytes.readInt32LE(nameEnd), 0);
      if (!except.some((name) => isHeaderName(bytes, at, name))) {
        this.out.raw(bytes, at, next);
        this.#headers++;
      }
      at = next;
    }
  }

  finish(): void {
    const { bytes, position } = this.out;
    bytes.writeUInt16LE(this.#headers, this.#start + 26);
    bytes.writeUInt32LE(position - this.#start - 4, this.#start);
    this.count++;
  }

  /** Copies the record a cursor stands on, headers and all. */
  copy(cursor: RecordCursor): void {
    const at = this.out.position;
    this.out.raw(cursor.bytes, cursor.start, cursor.end);
    this.out.bytes.writeUInt32LE(this.count, at + 4);
    this.count++;
  }

  /** Copies records that follow each other: `bytes[start, end)`. */
  copyRun(bytes: Buffer, start: number, end: number): void {
    const { out } = this;
    let at = out.position;
    out.raw(bytes, start, end);
    for (; at < out.position; at += 4 + out.bytes.readUInt32LE(at)) {
      out.bytes.writeUInt32LE(this.count++, at + 4);
    }
  }

  add(record: PlainRecord): void {
    const version = BigInt.asUintN(64, record.version ?? 0n);
    const head: RecordHead = {
      timestamp: record.timestamp,
      op: record.op?.charCodeAt(0) ?? 0,
      versionHigh: Number(version >> 32n) | 0,
      versionLow: Number(version & 0xffffffffn),
      versionKnown: record.version !== undefined,
    };
    this.start(head, record.key);
    if (record.value === null) this.nullValue();
    else {
      this.out.raw(record.value);
      this.endValue();
    }
    for (const { name, value } of record.headers ?? []) this.header(Buffer.from(name), value);
    this.finish();
  }

  /** The packed bytes, without a copy: valid until `reset`. */
  written(): Buffer {
    return this.out.written();
  }

  /** Empties the writer; a buffer that grew past `bytesKept` is let go. */
  reset(bytesKept?: number): void {
    this.out.reset(bytesKept);
    this.count = 0;
  }
}

/**
 * Walks packed records: `while (cursor.next()) …`. Its fields describe the record it stands on and
 * are overwritten by `next`; `key()` and `value()` are views, not copies.
 */
export class RecordCursor {
  bytes: Buffer;
  /** Where the record starts and ends in `bytes`. */
  start = 0;
  end = 0;
  delta = 0;
  op = 0;
  versionHigh = 0;
  versionLow = 0;
  keyStart = 0;
  /** -1 for a null key. */
  keyLength = 0;
  valueStart = 0;
  /** -1 for a null value. */
  valueLength = 0;
  /** Where {@link findHeader} found a value; length -1 for null. */
  headerStart = 0;
  headerLength = 0;
  #limit: number;

  constructor(bytes: Buffer, limit: number = bytes.length) {
    this.bytes = bytes;
    this.#limit = limit;
  }

  next(): boolean {
    const at = this.end;
    if (at >= this.#limit) return false;
    const { bytes } = this;
    this.start = at;
    this.end = at + 4 + bytes.readUInt32LE(at);
    this.delta = bytes.readUInt32LE(at + 4);
    this.versionLow = bytes.readUInt32LE(at + 16);
    this.versionHigh = bytes.readInt32LE(at + 20);
    this.op = bytes[at + 24] as number;
    this.keyLength = bytes.readInt32LE(at + 28);
    this.valueLength = bytes.readInt32LE(at + 32);
    this.keyStart = at + HEAD_BYTES;
    this.valueStart = this.keyStart + (this.keyLength > 0 ? this.keyLength : 0);
    return true;
  }

  /** Stands on the record that starts at `start` of other bytes: one cursor serves for all. */
  stand(bytes: Buffer, start: number): this {
    this.bytes = bytes;
    this.#limit = bytes.length;
    this.end = start;
    this.next();
    return this;
  }

  get timestamp(): number {
    return this.bytes.readDoubleLE(this.start + 8);
  }

  get hasVersion(): boolean {
    return this.bytes[this.start + 25] === HAS_VERSION;
  }

  get version(): bigint {
    return (BigInt(this.versionHigh) << 32n) | BigInt(this.versionLow);
  }

  get headerCount(): number {
    return this.bytes.readUInt16LE(this.start + 26);
  }

  key(): Buffer | null {
    return this.keyLength < 0 ? null : this.bytes.subarray(this.keyStart, this.valueStart);
  }

  value(): Buffer | null {
    if (this.valueLength < 0) return null;
    return this.bytes.subarray(this.valueStart, this.valueStart + this.valueLength);
  }

  headers(): RecordHeader[] {
    const { bytes } = this;
    const found: RecordHeader[] = [];
    for (let at = this.valueStart + Math.max(this.valueLength, 0); at < this.end;) {
      const nameEnd = at + 2 + bytes.readUInt16LE(at);
      const name = bytes.toString('utf8', at + 2, nameEnd);
      const size = bytes.readInt32LE(nameEnd);
      at = nameEnd + 4 + (size > 0 ? size : 0);
      found.push({ name, value: size < 0 ? null : bytes.subarray(nameEnd + 4, at) });
    }
    return found;
  }

  /** Looks for the last header of that name without making an object, for hot paths. */
  findHeader(name: Uint8Array): boolean {
    const { bytes, end } = this;
    let found = false;
    for (let at = this.valueStart + Math.max(this.valueLength, 0); at < end;) {
      const nameEnd = at + 2 + bytes.readUInt16LE(at);
      const size = bytes.readInt32LE(nameEnd);
      if (isHeaderName(bytes, at, name)) {
        this.headerStart = nameEnd + 4;
        this.headerLength = size;
        found = true;
      }
      at = nameEnd + 4 + Math.max(size, 0);
    }
    return found;
  }

  /** The last header of that name, as Kafka's `lastHeader`; undefined if there is none. */
  header(name: string): Buffer | null | undefined {
    return this.headerCount === 0
      ? undefined
      : this.headers().findLast((header) => header.name === name)?.value;
  }

  plain(): PlainRecord {
    return {
      key: this.key(),
      value: this.value(),
      timestamp: this.timestamp,
      headers: this.headers(),
      ...(this.op === 0 ? {} : { op: String.fromCharCode(this.op) }),
      ...(this.hasVersion ? { version: this.version } : {}),
    };
  }
}

/** A copy of records as packed bytes with their count, ready to publish. */
export function pack(records: readonly PlainRecord[]): RecordWriter {
  const writer = new RecordWriter(1024);
  for (const record of records) writer.add(record);
  return writer;
}
