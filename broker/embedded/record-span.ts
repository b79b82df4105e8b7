import { MillraceError } from '../../errors.ts';
import { RecordCursor, type RecordWriter } from '../records.ts';

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
