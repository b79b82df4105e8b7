import { offset, type Consumed, type RecordBatch, type TopicName } from '../../broker/broker.ts';
import { RecordCursor } from '../../broker/records.ts';
import { MillraceError } from '../../errors.ts';
import type { Topics } from '../processor.ts';
import type { Wait } from './departures.ts';
import type { PartitionState } from './partition-state.ts';
import type { Taken } from './workshop.ts';

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

/** Gives the record that the cursor stands on to the state. Throws `RECORD_MALFORMED` with its place. */
export function takeOne({ batch, open, segment, cursor }: Work): Taken {
  try {
    return open.state.take(cursor as RecordCursor);
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'RECORD_MALFORMED') throw error;
    const at = (batch.segments[segment]?.base ?? 0) + (cursor?.delta ?? 0);
    throw new MillraceError(error.code, error.message, {
      place: `${batch.topic}, partition ${batch.partition}, offset ${at}`,
      cause: error,
      ...(error.expected === undefined ? {} : { expected: error.expected }),
    });
  }
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
