import {
  offset,
  type Consumed,
  type Offset,
  type Outgoing,
  type ReadBatch,
  type RecordBatch,
  type TopicPartition,
} from '../../broker/broker.ts';
import { pack, RecordCursor, type PlainRecord } from '../../broker/records.ts';
import type { Topics } from '../../processors/processor.ts';

/** What a processor's caller has published, in memory: no group, no durability, only content. */
export class TopicLog implements Topics {
  readonly #records = new Map<string, PlainRecord[]>();
  readonly #committed = new Map<string, Offset>();

  publish(outgoing: readonly Outgoing[], consumed: readonly Consumed[] = []): void {
    for (const one of consumed) this.#committed.set(nameOf(one), one.next);
    for (const { topic, partition, records } of outgoing) {
      // A copy: the writers are used again.
      const cursor = new RecordCursor(Buffer.from(records.written()));
      while (cursor.next()) this.append({ topic, partition }, [cursor.plain()]);
    }
  }

  append(at: TopicPartition, records: readonly PlainRecord[]): void {
    const name = nameOf(at);
    this.#records.set(name, [...(this.#records.get(name) ?? []), ...records]);
  }

  records(at: TopicPartition): readonly PlainRecord[] {
    return this.#records.get(nameOf(at)) ?? [];
  }

  /** The batch of `[from, to)`, in segments of at most `segment` records. */
  batch(at: TopicPartition, from: number, to: number, segment = 3): RecordBatch {
    const records = this.records(at).slice(from, to);
    const segments = Array.from({ length: Math.ceil(records.length / segment) }, (_, index) => {
      const some = records.slice(index * segment, (index + 1) * segment);
      const bytes = pack(some).written();
      return { base: offset(from + index * segment), bytes, count: some.length };
    });
    const consumed: Consumed = { ...at, group: 'compact', next: offset(to), generation: 1 };
    const bytes = segments.reduce((sum, { bytes: { length } }) => sum + length, 0);
    return { ...at, segments, count: records.length, bytes, consumed };
  }

  async *read(
    at: TopicPartition,
    { since }: { readonly since: number } = { since: -Infinity },
  ): AsyncGenerator<ReadBatch> {
    const { length } = this.records(at);
    const first = this.records(at).findIndex(({ timestamp }) => timestamp >= since);
    if (first < 0) return;
    for (let from = first; from < length; from += 100) {
      const { consumed: _, ...batch } = this.batch(at, from, Math.min(from + 100, length), 40);
      yield batch;
    }
  }

  /** What `publish` was told of consumed offsets, and how many records a partition has. */
  progress(input: TopicPartition): Promise<{ next: Offset; end: Offset }> {
    const end = offset(this.records(input).length);
    return Promise.resolve({ next: this.#committed.get(nameOf(input)) ?? offset(0), end });
  }

  /** Forgets all but the newest record of each key, as compaction of the broker may at any time. */
  compact(at: TopicPartition): void {
    const newest = new Map(this.records(at).map((record) => [record.key?.toString('hex'), record]));
    const kept = this.records(at).filter(
      (record) => newest.get(record.key?.toString('hex')) === record,
    );
    this.#records.set(nameOf(at), kept);
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
