import type {
  Consumed,
  Offset,
  Outgoing,
  ReadBatch,
  RecordBatch,
  TopicPartition,
} from '../broker/broker.ts';

/** What a processor may ask of the topics around it, whoever works on their partitions. */
export interface Topics {
  /**
   * Reads one partition of an output topic to its present end: from its beginning, or from the first
   * record that is not older than `since` (ms).
   */
  read(at: TopicPartition, from?: { readonly since: number }): AsyncIterable<ReadBatch>;

  /** Where a partition of an input topic ends now, and how far this stage's published work on it is. */
  progress(input: TopicPartition): Promise<{ readonly next: Offset; readonly end: Offset }>;
}

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
  /**
   * Partitions whose records wait for what is made of other partitions: they are to be given nothing
   * more until they are not in here any more (I9). `process` is to be called again now and then, with what
   * there is for others or with nothing.
   */
  readonly paused: readonly TopicPartition[];
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
  open(partition: TopicPartition, topics: Topics): Promise<void>;

  /**
   * Works off batches of partitions that are open. Synchronous in effect: no other call while it runs. The
   * batches' bytes are given back when the last result of them is published and no partition is paused.
   * Throws `RECORD_MALFORMED` or `SCHEMA_UNKNOWN` with the place of a record that cannot be read, when
   * all that came before it has been handed out.
   */
  process(batches: readonly RecordBatch[]): Promise<Processed>;

  /** Forgets a partition that was taken away. */
  close(partition: TopicPartition): Promise<void>;
}
