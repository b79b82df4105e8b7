import { offset, type RecordBatch, type TopicName, type TopicPartition } from '../broker.ts';
import type { Segment } from '../records.ts';
import { cutSegment } from '../segment-cut.ts';
import { segmentOf, type CommittedBatches, type StoredBatch } from './batch-reader.ts';

/** What of a partition may be read ahead of its reader, as stored. */
const AHEAD_BYTES_MAX = 2 * 1024 * 1024;

export interface TakeBounds {
  readonly wanted: number;
  readonly most: number;
  readonly records: number;
  /** Whether at least one record is to be taken, however large. */
  readonly first: boolean;
}

/** Records with the offset after them. */
interface Decoded {
  readonly segment: Segment;
  readonly next: number;
}

/** A partition in the hands of a member: what was read ahead of it, and how far it is. */
export class HeldPartition implements TopicPartition {
  readonly topic: TopicName;
  readonly partition: number;
  readonly group: string;
  /** New with each assignment and each seek; what was read under another is stale. */
  generation: number;
  /** What the group has committed. */
  committed: number;
  /** Where to read on. */
  ahead: number;
  /** Node to read from; null until it is known. */
  node: number | null = null;
  #taken: number;
  #batches: StoredBatch[] = [];
  #bytes = 0;
  #rest: Decoded | null = null;

  constructor(
    { topic, partition }: TopicPartition,
    from: { group: string; generation: number; next: number; committed: number },
  ) {
    this.topic = topic;
    this.partition = partition;
    this.group = from.group;
    this.generation = from.generation;
    this.committed = from.committed;
    this.ahead = this.#taken = from.next;
  }

  get hasRoom(): boolean {
    return this.#bytes < AHEAD_BYTES_MAX;
  }

  get hasRecords(): boolean {
    return this.#rest !== null || this.#batches.length > 0;
  }

  /** Keeps what was read at `ahead`; the answer of an earlier question is left out. */
  add({ batches, next }: CommittedBatches): void {
    for (const batch of batches) {
      this.#batches.push(batch);
      this.#bytes += batch.bytes.length;
    }
    this.ahead = next;
  }

  /** Explicitly elsewhere: what was read is forgotten, and what was delivered is stale. */
  restart(next: number, generation: number): void {
    this.generation = generation;
    this.committed = this.ahead = this.#taken = next;
    this.#batches = [];
    this.#bytes = 0;
    this.#rest = null;
  }

  /**
   * Where a group is that has done everything before `next`. After the last record there may be marks of
   * transactions, which nobody delivers: it is past them too, or it would seem to be behind.
   */
  reached(next: number): number {
    return next === this.#taken && !this.hasRecords ? Math.max(next, this.ahead) : next;
  }

  /** Whether all there is was delivered and committed, and only marks of transactions came after it. */
  get isPastMarks(): boolean {
    return !this.hasRecords && this.#taken <= this.committed && this.ahead > this.committed;
  }

  /** The next records; null if there are none, or none that fits. */
  take(bounds: TakeBounds): RecordBatch | null {
    const { wanted, records } = bounds;
    const segments: Segment[] = [];
    let bytes = 0;
    let count = 0;
    while (bytes < wanted && count < records) {
      const segment = this.#next({
        most: bounds.most - bytes,
        records: records - count,
        first: bounds.first && count === 0,
      });
      if (segment === null) break;
      segments.push(segment);
      bytes += segment.bytes.length;
      count += segment.count;
    }
    if (count === 0) return null;
    const { topic, partition, group, generation } = this;
    const next = offset(this.reached(this.#taken));
    this.#taken = next;
    const consumed = { topic, partition, group, next, generation };
    return { topic, partition, segments, count, bytes, consumed };
  }

  #next({ most, records, first }: Omit<TakeBounds, 'wanted'>): Segment | null {
    const decoded = this.#rest ?? this.#decoded();
    if (decoded === null) return null;
    const { segment, next } = decoded;
    this.#rest = null;
    if (segment.bytes.length <= most && segment.count <= records) {
      this.#taken = next;
      return segment;
    }
    const bounds = { from: this.#taken, limit: Infinity, bytesMax: most, recordsMax: records };
    const cut = cutSegment(segment, bounds);
    const fits = cut.segment !== null && (first || cut.segment.bytes.length <= most);
    if (!fits) {
      this.#rest = decoded;
      return null;
    }
    this.#rest = cut.rest === null ? null : { segment: cut.rest, next };
    this.#taken = cut.rest === null ? next : cut.next;
    return cut.segment;
  }

  #decoded(): Decoded | null {
    for (let batch = this.#batches.shift(); batch !== undefined; batch = this.#batches.shift()) {
      this.#bytes -= batch.bytes.length;
      const { topic, partition } = this;
      const segment = segmentOf(batch, { topic, partition, next: this.#taken });
      // Compaction may have left a batch without a record.
      if (segment.count > 0) return { segment, next: batch.next };
      this.#taken = Math.max(this.#taken, batch.next);
    }
    return null;
  }
}
