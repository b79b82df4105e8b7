import { offset, type Consumed, type RecordBatch, type TopicName } from '../../broker/broker.ts';
import { recordPlace } from '../../broker/record-place.ts';
import { RecordCursor } from '../../broker/records.ts';
import { MillraceError } from '../../errors.ts';
import type { Topics } from '../processor.ts';
import type { Wait } from './departures.ts';
import type { PartitionState } from './partition-state.ts';

/** A partition that is open. */
export interface Open {
  readonly topics: Topics;
  readonly raw: TopicName;
  readonly changes: TopicName;
  readonly latest: TopicName;
  readonly partition: number;
  readonly owner: number;
  readonly state: PartitionState;
}

/** A batch that is being worked off. */
export interface Work {
  readonly batch: RecordBatch;
  readonly open: Open;
  segment: number;
  cursor: RecordCursor | null;
  /** The cursor stands on a record that was not taken yet. */
  standing: boolean;
  /** What that record waits for; null if for nothing. */
  wait: Wait | null;
}

export function newWork(batch: RecordBatch, open: Open): Work {
  return { batch, open, segment: -1, cursor: null, standing: false, wait: null };
}

/** What is wrong with the record that the cursor stands on, with its place. Any other error is thrown on. */
export function refusalOf({ batch, segment, cursor }: Work, error: unknown): MillraceError {
  const at = (batch.segments[segment]?.base ?? 0) + (cursor?.delta ?? 0);
  const place = recordPlace(batch, at);
  // Lengths in it lead out of its bytes.
  if (error instanceof RangeError) {
    const message = 'a record ends before its fields do';
    return new MillraceError('RECORD_MALFORMED', message, { place, cause: error });
  }
  if (!(error instanceof MillraceError)) throw error;
  const { code, message, expected } = error;
  if (code !== 'RECORD_MALFORMED' && code !== 'SCHEMA_UNKNOWN') throw error;
  const told = expected === undefined ? {} : { expected };
  return new MillraceError(code, message, { place, cause: error, ...told });
}

/** Moves to the next record of the batch; false if there is none. */
export function next(work: Work): boolean {
  while (work.cursor === null || !work.cursor.next()) {
    const segment = work.batch.segments[++work.segment];
    if (segment === undefined) return false;
    work.cursor = new RecordCursor(segment.bytes);
  }
  return true;
}

/** I5: up to the record that was not taken, or all of the batch. */
export function consumedBy({ batch, segment, cursor, standing }: Work): Consumed {
  const base = batch.segments[segment]?.base;
  if (!standing || base === undefined || cursor === null) return batch.consumed;
  return { ...batch.consumed, next: offset(base + cursor.delta) };
}
