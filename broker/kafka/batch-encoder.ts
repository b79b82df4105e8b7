import { ByteWriter } from '../../schemas/byte-writer.ts';
import { RecordCursor, type RecordWriter } from '../records.ts';
import { compress } from './compression.ts';
import { crc32c } from './crc32c.ts';
import type { Producer } from './offset-messages.ts';
import type { Compression } from './options.ts';
import {
  BATCH_HEAD_BYTES,
  BATCH_PREFIX_BYTES,
  CRC_FROM,
  OP_HEADER,
  TRANSACTIONAL,
  VERSION_HEADER,
} from './record-batch.ts';

/** A batch that is ready but for who sends it: {@link sign} says that. */
export interface EncodedBatch {
  readonly bytes: Buffer;
  readonly count: number;
}

/** Below the megabyte that a topic takes by default, so that it may be one of anybody. */
const BATCH_BYTES = 900 * 1024;

/** The records of a writer as batches, in order. The writer may be reused when this resolves. */
export async function encodeBatches(
  records: RecordWriter,
  compression: Compression,
): Promise<EncodedBatch[]> {
  const cursor = new RecordCursor(records.written());
  const waiting: Promise<EncodedBatch>[] = [];
  while (cursor.end < records.bytes) waiting.push(finished(encode(cursor), compression));
  return Promise.all(waiting);
}

interface Span {
  readonly body: Buffer;
  readonly count: number;
  readonly baseTime: number;
  readonly maxTime: number;
}

/** As many records as fit into a batch, at least one. */
function encode(cursor: RecordCursor): Span {
  const from = cursor.end;
  const out = new ByteWriter(Math.min(cursor.bytes.length - from, BATCH_BYTES) + 64 * 1024);
  let count = 0;
  let baseTime = 0;
  let maxTime = 0;
  while (hasRoom(cursor, from) && cursor.next()) {
    const time = cursor.timestamp;
    if (count === 0) baseTime = maxTime = time;
    else if (time > maxTime) maxTime = time;
    writeRecord(out, cursor, { time: time - baseTime, delta: count });
    count++;
  }
  return { body: out.written(), count, baseTime, maxTime };
}

function hasRoom({ bytes, end }: RecordCursor, from: number): boolean {
  if (end === from) return true;
  return end + 4 <= bytes.length && end + 4 + bytes.readUInt32LE(end) - from <= BATCH_BYTES;
}

const OP_BYTES = 1 + OP_HEADER.length + 1 + 1;
const VERSION_BYTES = 1 + VERSION_HEADER.length + 1 + 8;

function writeRecord(
  out: ByteWriter,
  cursor: RecordCursor,
  at: { readonly time: number; readonly delta: number },
): void {
  const { bytes, op, keyLength, valueLength, keyStart, valueStart, hasVersion } = cursor;
  const own = (op === 0 ? 0 : 1) + (hasVersion ? 1 : 0);
  const count = cursor.headerCount + own;
  const size =
    1 +
    sizeOf(at.time) +
    sizeOf(at.delta) +
    sizeOf(keyLength) +
    Math.max(keyLength, 0) +
    sizeOf(valueLength) +
    Math.max(valueLength, 0) +
    sizeOf(count) +
    (op === 0 ? 0 : OP_BYTES) +
    (hasVersion ? VERSION_BYTES : 0) +
    (count === own ? 0 : headersSize(cursor));
  out.long(size);
  out.byte(0);
  out.long(at.time);
  out.long(at.delta);
  out.long(keyLength);
  if (keyLength > 0) out.raw(bytes, keyStart, keyStart + keyLength);
  out.long(valueLength);
  if (valueLength > 0) out.raw(bytes, valueStart, valueStart + valueLength);
  out.long(count);
  if (op !== 0) {
    out.slice(OP_HEADER);
    out.long(1);
    out.byte(op);
  }
  if (hasVersion) {
    out.slice(VERSION_HEADER);
    out.long(8);
    out.reserve(8);
    out.position = out.bytes.writeInt32BE(cursor.versionHigh, out.position);
    out.position = out.bytes.writeUInt32BE(cursor.versionLow, out.position);
  }
  if (count > own) writeHeaders(out, cursor);
}

function headersSize(cursor: RecordCursor): number {
  const { bytes, end, valueStart, valueLength } = cursor;
  let size = 0;
  for (let at = valueStart + Math.max(valueLength, 0); at < end;) {
    const nameSize = bytes.readUInt16LE(at);
    const valueSize = bytes.readInt32LE(at + 2 + nameSize);
    size += sizeOf(nameSize) + nameSize + sizeOf(valueSize) + Math.max(valueSize, 0);
    at += 6 + nameSize + Math.max(valueSize, 0);
  }
  return size;
}

function writeHeaders(out: ByteWriter, cursor: RecordCursor): void {
  const { bytes, end, valueStart, valueLength } = cursor;
  for (let at = valueStart + Math.max(valueLength, 0); at < end;) {
    const nameSize = bytes.readUInt16LE(at);
    const valueAt = at + 6 + nameSize;
    const valueSize = bytes.readInt32LE(valueAt - 4);
    out.slice(bytes, at + 2, at + 2 + nameSize);
    out.long(valueSize);
    if (valueSize > 0) out.raw(bytes, valueAt, valueAt + valueSize);
    at = valueAt + Math.max(valueSize, 0);
  }
}

/** Bytes of a zigzag varint. */
function sizeOf(value: number): number {
  let left = value < 0 ? -2 * value - 1 : 2 * value;
  let size = 1;
  for (; left >= 0x80; size++) left = Math.floor(left / 0x80);
  return size;
}

async function finished(span: Span, compression: Compression): Promise<EncodedBatch> {
  const { body, count, baseTime, maxTime } = span;
  const packed = await compress(body, compression);
  const bytes = Buffer.allocUnsafe(BATCH_HEAD_BYTES + packed.bytes.length);
  bytes.writeBigInt64BE(0n, 0);
  bytes.writeInt32BE(bytes.length - BATCH_PREFIX_BYTES, 8);
  bytes.writeInt32BE(-1, 12);
  bytes[16] = 2;
  bytes.writeInt16BE(packed.codec | TRANSACTIONAL, 21);
  bytes.writeInt32BE(count - 1, 23);
  bytes.writeBigInt64BE(BigInt(baseTime), 27);
  bytes.writeBigInt64BE(BigInt(maxTime), 35);
  bytes.writeInt32BE(count, 57);
  packed.bytes.copy(bytes, BATCH_HEAD_BYTES);
  return { bytes, count };
}

/** Says who sends the batch and which it is of those it has sent to the partition, and seals it. */
export function sign({ bytes }: EncodedBatch, producer: Producer, sequence: number): void {
  bytes.writeBigInt64BE(producer.producerId, 43);
  bytes.writeInt16BE(producer.epoch, 51);
  bytes.writeInt32BE(sequence, 53);
  bytes.writeUInt32BE(crc32c(bytes, CRC_FROM), 17);
}
