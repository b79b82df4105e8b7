import { MillraceError } from '../../errors.ts';
import type { Offset } from '../broker.ts';
import { RecordCursor, type RecordWriter, type Segment } from '../records.ts';

/** Neighbouring records of a writer that become one row. Deltas are as the writer numbered them. */
export interface RecordSpan {
  readonly bytes: Buffer;
  readonly count: number;
  /** Delta of the record after the last. */
  readonly nextDelta: number;
  /** Latest record time, ms. */
  readonly newest: number;
  readonly tombstones: number;
}

/** Rows are about this large: small enough to read, compress and clean one by one, and in parallel. */
const SPAN_BYTES = 1024 * 1024;

/** Cuts a writer's records into spans, at record boundaries. Throws RECORD_TOO_LARGE. */
export function spansOf(writer: RecordWriter, recordBytesMax: number, topic: string): RecordSpan[] {
  const cursor = new RecordCursor(writer.written());
  const spans: RecordSpan[] = [];
  let from = 0;
  let count = 0;
  let newest = 0;
  let tombstones = 0;
  const close = (end: number): void => {
    const bytes = cursor.bytes.subarray(from, end);
    spans.push({ bytes, count, nextDelta: cursor.delta + 1, newest, tombstones });
    from = end;
    count = newest = tombstones = 0;
  };
  while (cursor.next()) {
    const size = cursor.end - cursor.start;
    if (size > recordBytesMax) throw tooLarge(topic, size, recordBytesMax);
    if (cursor.timestamp > newest) newest = cursor.timestamp;
    if (cursor.valueLength < 0) tombstones++;
    count++;
    if (cursor.end - from >= SPAN_BYTES) close(cursor.end);
  }
  if (count > 0) close(cursor.end);
  return spans;
}

function tooLarge(topic: string, size: number, recordBytesMax: number): MillraceError {
  return new MillraceError('RECORD_TOO_LARGE', `A record has ${size} bytes.`, {
    place: topic,
    expected: `at most ${recordBytesMax} bytes, headers included`,
  });
}

/** A part of a segment, and what is left of it. */
export interface SegmentCut {
  readonly segment: Segment | null;
  readonly next: Offset;
  readonly rest: Segment | null;
}

/** Where to cut: records of offsets in `[from, limit)`, at most both bounds but at least one. */
export interface CutBounds {
  readonly from: number;
  readonly limit: number;
  readonly bytesMax: number;
  readonly recordsMax: number;
}

/** Cuts by walking over the records; `next` is the offset after the last one taken or left out. */
export function cutSegment(
  segment: Segment,
  { from, limit, bytesMax, recordsMax }: CutBounds,
): SegmentCut {
  const cursor = new RecordCursor(segment.bytes);
  let start = 0;
  let end = 0;
  let count = 0;
  let left = segment.count;
  let next = from;
  while (cursor.next()) {
    const offset = segment.base + cursor.delta;
    if (offset >= limit) break;
    if (offset < from) {
      start = end = cursor.end;
      left--;
      continue;
    }
    if (count > 0 && (cursor.end - start > bytesMax || count >= recordsMax)) break;
    count++;
    end = cursor.end;
    next = offset + 1;
  }
  const { base, bytes } = segment;
  const taken = { base, bytes: bytes.subarray(start, end), count };
  const rest = { base, bytes: bytes.subarray(end), count: left - count };
  return {
    segment: count === 0 ? null : taken,
    next: next as Offset,
    rest: rest.count === 0 ? null : rest,
  };
}
