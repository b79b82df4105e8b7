import type {
  Consumed,
  Outgoing,
  ReadBatch,
  RecordBatch,
  TopicName,
  TopicPartition,
} from '../broker/broker.ts';

/** Reads one partition of an output topic from its beginning to its present end. */
export type ReadOutput = (topic: TopicName, partition: number) => AsyncIterable<ReadBatch>;

export interface Processed {
  /** Valid until the next call of `process`. */
  readonly outgoing: readonly Outgoing[];
  /** The offsets that are safe to commit with it: at most what came in, less if something is held. */
  readonly consumed: readonly Consumed[];
  /**
   * True if records were left for the next call only because the result would have become too large:
   * publish this one, then call `process([])`, before asking the broker for more (I9).
   */
  readonly more: boolean;
}

/**
 * Turns records of input topics into records of output topics.
 *
 * State: there is none but what the output topics hold. `open` rebuilds it; after `process` it runs
 * ahead of the topics until the caller has published the result, so a failed publish must be followed
 * by `close` and `open`. Order: output of a partition keeps the order of its input.
 */
export interface Processor extends AsyncDisposable {
  /** Takes over a partition and rebuilds its state from its output topics. */
  open(partition: TopicPartition, read: ReadOutput): Promise<void>;

  /** Works off batches of partitions that are open. Synchronous in effect: no other call while it runs. */
  process(batches: readonly RecordBatch[]): Promise<Processed>;

  /** Forgets a partition that was taken away. */
  close(partition: TopicPartition): Promise<void>;
}
