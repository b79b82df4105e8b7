import { MillraceError } from '../../errors.ts';
import type { TopicPartition } from '../broker.ts';
import type { Cluster } from './cluster.ts';
import { EARLIEST, LATEST, listOffsets, type PartitionOffset } from './offset-messages.ts';

/** Offsets by `topic-partition`. */
export type OffsetTable = ReadonlyMap<string, number>;

export const nameOf = ({ topic, partition }: TopicPartition): string => `${topic}-${partition}`;

export function tableOf(offsets: readonly PartitionOffset[]): OffsetTable {
  return new Map(offsets.map((one) => [nameOf(one), one.next]));
}

/** First offsets that are kept. */
export async function startsOf(
  cluster: Cluster,
  partitions: readonly TopicPartition[],
): Promise<OffsetTable> {
  return tableOf(await cluster.toLeaders(partitions, (some) => listOffsets(some, EARLIEST)));
}

/** Offsets that the next records get; open transactions are before them. */
export async function endsOf(
  cluster: Cluster,
  partitions: readonly TopicPartition[],
): Promise<OffsetTable> {
  return tableOf(await cluster.toLeaders(partitions, (some) => listOffsets(some, LATEST)));
}

export interface OffsetRange {
  readonly start: number;
  readonly end: number;
}

export async function rangeOf(cluster: Cluster, partition: TopicPartition): Promise<OffsetRange> {
  const [starts, ends] = await Promise.all([
    startsOf(cluster, [partition]),
    endsOf(cluster, [partition]),
  ]);
  const name = nameOf(partition);
  return { start: starts.get(name) ?? 0, end: ends.get(name) ?? 0 };
}

/** Where a reader of a partition stands must exist or be the end: never a silent jump (I4). */
export function requireInRange(
  { start, end }: OffsetRange,
  next: number,
  { who, partition }: { readonly who: string; readonly partition: TopicPartition },
): void {
  if (next >= start && next <= end) return;
  throw new MillraceError('OFFSET_OUT_OF_RANGE', `${who} needs offset ${next}.`, {
    place: nameOf(partition),
    expected: `an offset from ${start} to ${end}`,
  });
}
