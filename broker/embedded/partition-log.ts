import { MillraceError } from '../../errors.ts';
import { offset, type Offset, type TopicPartition, type TopicSettings } from '../broker.ts';

/**
 * What is known of a partition without reading it. `end` is raised only after the commit that made
 * the records durable, so whoever reads below it sees whole publishes only.
 */
export interface PartitionLog extends TopicPartition {
  readonly id: number;
  settings: TopicSettings;
  start: number;
  end: number;
  /** Stored bytes, all of them and those that compaction has not looked at yet. */
  bytes: number;
  dirtyBytes: number;
  dirtySegments: number;
  /** How many records those that compaction has not looked at supersede, at most. */
  supersedes: number;
  /** Compaction has gone through everything before this offset. */
  cleaned: number;
}

/** Where a reader of a partition stands must exist or be the end: never a silent jump (I4). */
export function requireInRange(log: PartitionLog, next: number, who: string): void {
  if (next >= log.start && next <= log.end) return;
  // I4: records that retention took before they were read are said, never skipped.
  throw new MillraceError('OFFSET_OUT_OF_RANGE', `${who} needs offset ${next}.`, {
    place: `${log.topic}-${log.partition}`,
    expected: `an offset from ${log.start} to ${log.end}`,
  });
}

export const placeOf = (
  partition: TopicPartition,
  next: number,
): TopicPartition & { next: Offset } => ({
  topic: partition.topic,
  partition: partition.partition,
  next: offset(next),
});
