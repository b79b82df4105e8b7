import type { Outgoing, TopicName } from './broker.ts';
import { RecordWriter } from './records.ts';

/**
 * The records that a stage has made and not yet published, by topic and partition. Writers are kept
 * between batches, so a steady flow allocates nothing; one that grew past `writerBytesKept` is let go.
 */
export class OutgoingBuffer {
  readonly #writers = new Map<TopicName, RecordWriter[]>();
  readonly #writerBytesKept: number;

  constructor(writerBytesKept = 16 * 1024 * 1024) {
    this.#writerBytesKept = writerBytesKept;
  }

  /** The writer of a partition. Callers on a hot path keep it until the next {@link reset}. */
  writer(topic: TopicName, partition: number): RecordWriter {
    let partitions = this.#writers.get(topic);
    if (partitions === undefined) {
      partitions = [];
      this.#writers.set(topic, partitions);
    }
    return (partitions[partition] ??= new RecordWriter(4 * 1024));
  }

  /** What is to be published. The writers stay in use: valid until {@link reset}. */
  outgoing(): Outgoing[] {
    const found: Outgoing[] = [];
    for (const [topic, partitions] of this.#writers) {
      partitions.forEach((records, partition) => {
        if (records.count > 0) found.push({ topic, partition, records });
      });
    }
    return found;
  }

  /** Bytes of all records held. */
  get bytes(): number {
    let sum = 0;
    for (const partitions of this.#writers.values()) {
      for (const records of partitions) sum += records?.bytes ?? 0;
    }
    return sum;
  }

  reset(): void {
    for (const partitions of this.#writers.values()) {
      for (const records of partitions) records?.reset(this.#writerBytesKept);
    }
  }
}
