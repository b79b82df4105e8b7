import {
  offset,
  type Consumed,
  type Outgoing,
  type ReadBatch,
  type RecordBatch,
  type TopicName,
  type TopicPartition,
} from '../../broker/broker.ts';
import { pack, RecordCursor, type PlainRecord } from '../../broker/records.ts';
import type { ReadOutput } from '../../processors/processor.ts';

/** What a processor's caller has published, in memory: no group, no durability, only content. */
export class TopicLog {
  readonly #records = new Map<string, PlainRecord[]>();

  publish(outgoing: readonly Outgoing[]): void {
    for (const { topic, partition, records } of outgoing) {
      // A copy: the writers are used again.
      const cursor = new RecordCursor(Buffer.from(records.written()));
      while (cursor.next()) this.append({ topic, partition }, [cursor.plain()]);
    }
  }

  append({ topic, partition }: TopicPartition, records: readonly PlainRecord[]): void {
    const name = `${topic}/${partition}`;
    this.#records.set(name, [...(this.#records.get(name) ?? []), ...records]);
  }

  records({ topic, partition }: TopicPartition): readonly PlainRecord[] {
    return this.#records.get(`${topic}/${partition}`) ?? [];
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

  readonly read: ReadOutput = (topic: TopicName, partition: number) =>
    this.#read({ topic, partition });

  async *#read(at: TopicPartition): AsyncGenerator<ReadBatch> {
    const { length } = this.records(at);
    for (let from = 0; from < length; from += 100) {
      const { consumed: _, ...batch } = this.batch(at, from, Math.min(from + 100, length), 40);
      yield batch;
    }
  }

  /** Forgets all but the newest record of each key, as compaction of the broker may at any time. */
  compact(at: TopicPartition): void {
    const newest = new Map(this.records(at).map((record) => [record.key?.toString('hex'), record]));
    const kept = this.records(at).filter(
      (record) => newest.get(record.key?.toString('hex')) === record,
    );
    this.#records.set(`${at.topic}/${at.partition}`, kept);
  }
}
