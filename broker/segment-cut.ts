import type { Offset } from './broker.ts';
import { RecordCursor, type Segment } from './records.ts';

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
