import type { TopicPartition } from './broker.ts';

/** How messages name a record, or one of several that follow each other up to `last`. */
export function recordPlace(
  { topic, partition }: TopicPartition,
  offset: number,
  last = offset,
): string {
  const where = `${topic}, partition ${partition}`;
  return last > offset ? `${where}, offsets ${offset} to ${last}` : `${where}, offset ${offset}`;
}
