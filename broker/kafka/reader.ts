import { offset, type Offset, type ReadBatch, type TopicPartition } from '../broker.ts';
import { RecordCursor } from '../records.ts';
import { committedBatches, segmentOf } from './batch-reader.ts';
import type { Cluster } from './cluster.ts';
import { requireSuccess } from './failure.ts';
import { fetch, type FetchedPartition } from './fetch-message.ts';
import { listOffsets } from './offset-messages.ts';
import { rangeOf } from './offsets.ts';

const WAIT_MS = 100;
const BYTES_MAX = 2 * 1024 * 1024;

/**
 * The records of a partition from an offset to where it ends now, without a group. Transactions that are open
 * now are part of it: it waits until each has ended, so that nothing committed before is left out.
 */
export async function* read(
  cluster: Cluster,
  from: TopicPartition & { readonly next: number },
  signal: AbortSignal,
): AsyncGenerator<ReadBatch> {
  const { topic, partition } = from;
  const { start, end } = await rangeOf(cluster, from);
  let next = Math.max(from.next, start);
  while (next < end && !signal.aborted) {
    const at = { topic, partition, next: offset(next) };
    const answer = await cluster.attempt(() => ask(cluster, at), { signal });
    const committed = committedBatches(answer, at);
    const segments = [];
    for (const batch of committed.batches) {
      const segment = segmentOf(batch, at);
      if (segment.count > 0) segments.push(segment);
    }
    const count = segments.reduce((sum, segment) => sum + segment.count, 0);
    const bytes = segments.reduce((sum, segment) => sum + segment.bytes.length, 0);
    next = committed.next;
    if (count > 0) yield { topic, partition, segments, count, bytes };
  }
}

/** First offset whose record is not older than a time (ms); where the partition ends if there is none. */
export async function offsetAt(
  cluster: Cluster,
  partition: TopicPartition,
  timestamp: number,
): Promise<Offset> {
  const [found] = await cluster.toLeaders([partition], (some) => listOffsets(some, timestamp));
  const { end } = await rangeOf(cluster, partition);
  if (found === undefined || found.next < 0) return offset(end);
  // It may be the mark of a transaction, which has a time of its own: the record is at or after it.
  const from = { ...partition, next: found.next };
  for await (const { segments } of read(cluster, from, new AbortController().signal)) {
    for (const { base, bytes } of segments) {
      const cursor = new RecordCursor(bytes);
      while (cursor.next()) if (cursor.timestamp >= timestamp) return offset(base + cursor.delta);
    }
  }
  return offset(end);
}

async function ask(
  cluster: Cluster,
  at: TopicPartition & { readonly next: number },
): Promise<FetchedPartition> {
  const node = await cluster.leader(at);
  const options = { waitMs: WAIT_MS, bytesMax: BYTES_MAX, partitionBytesMax: BYTES_MAX, rack: '' };
  const [answer] = await (await cluster.node(node)).send(fetch([at], options));
  requireSuccess(answer?.error ?? -1, `${at.topic}-${at.partition}`);
  return answer as FetchedPartition;
}
