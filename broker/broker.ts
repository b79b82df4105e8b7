import type { Offset } from './offset.ts';
import type { RecordWriter, Segment } from './records.ts';

export type { Offset };

declare const brand: unique symbol;

/** Name of a topic. Made by {@link topicName} only. */
export type TopicName = string & { readonly [brand]: 'TopicName' };

/** Kafka's rule: 1 to 249 of `a-z A-Z 0-9 . _ -`. Other characters become `_`, as Debezium does. */
export function topicName(...parts: readonly string[]): TopicName {
  return parts
    .join('.')
    .replaceAll(/[^a-zA-Z0-9._-]/g, '_')
    .slice(0, 249) as TopicName;
}

export function offset(value: number): Offset {
  return value as Offset;
}

export interface TopicPartition {
  readonly topic: TopicName;
  readonly partition: number;
}

export interface TopicSettings {
  readonly topic: TopicName;
  readonly partitions: number;
  /** `delete` forgets by age and size, `compact` keeps the newest record of each key. */
  readonly cleanup: 'delete' | 'compact';
  /** Age in milliseconds after which records (`delete`) may go; null for never. */
  readonly retentionMs: number | null;
  /** Bytes per partition above which the oldest go; null for no bound. Only for `delete`. */
  readonly retentionBytes: number | null;
  /** How long a null value of a key stays readable before compaction may drop it. */
  readonly tombstoneRetentionMs: number;
}

/**
 * Records for one partition. One publish may hold several for the same partition, in order, and the same
 * writer for several partitions.
 */
export interface Outgoing extends TopicPartition {
  readonly records: RecordWriter;
  /**
   * How many records of the partition these supersede, where it compacts and the publisher knows: a hint,
   * so that compaction waits until it has something to do. It may be all of them otherwise.
   */
  readonly supersedes?: number;
}

/** Records of one partition in offset order, all delivered at once. Their bytes belong to who gets them. */
export interface RecordBatch extends TopicPartition {
  readonly segments: readonly Segment[];
  readonly count: number;
  readonly bytes: number;
  /** To be handed to `publish` or `commit` when the batch is done: nobody computes offsets. */
  readonly consumed: Consumed;
}

/** "Group has done everything of this partition before `next`", valid while the assignment is. */
export interface Consumed extends TopicPartition {
  readonly group: string;
  readonly next: Offset;
  /** The assignment under which it was read; a later one makes it stale (`BROKER_FENCED`). */
  readonly generation: number;
}

export interface Subscription {
  readonly group: string;
  readonly topics: readonly TopicName[];
  /** Upper bound of one delivery; a single larger record is still delivered, alone. */
  readonly bytesMax?: number;
  /** The same in records, so that what a reader makes of each is bounded too. */
  readonly recordsMax?: number;
  /**
   * Called when partitions are assigned, before their first batch, and awaited. What it returns for
   * a partition replaces the group's committed offset (a sink's ledger knows better); partitions it
   * leaves out start at the committed offset, or at the beginning if there is none.
   */
  readonly assigned?: (
    partitions: readonly TopicPartition[],
  ) => Promise<readonly (TopicPartition & { readonly next: Offset })[]>;
  /**
   * What is delivered is published on with its offsets. Who held the partitions before is then fenced, and
   * what it left unfinished is undone, before `assigned` is called: so that what it has published is seen.
   */
  readonly publishes?: boolean;
  /** Called when partitions are taken away; nothing of them is delivered afterwards. */
  readonly revoked?: (partitions: readonly TopicPartition[]) => Promise<void>;
  /**
   * Partitions that are to get nothing for now; asked before each delivery. While there are any, a
   * delivery comes several times a second, be it empty: what the reader waits for may be another
   * process's to do.
   */
  readonly paused?: () => readonly TopicPartition[];
}

/**
 * Durable, partitioned, ordered topics with consumer groups: what the stages are joined by.
 *
 * Order: records of a partition are delivered in the order of their publishes, and within one in
 * the order given. Durability: when `publish` resolves, all of it survives a crash of the machine
 * (with the embedded broker unless `fsync: false` was configured); when it rejects, none of it is or
 * will become visible; only where a cluster does not answer (`BROKER_UNREACHABLE`) may it be either, and
 * whoever reads anew where it stands knows. Readers only ever see whole publishes.
 */
export interface Broker extends AsyncDisposable {
  /** Idempotent. Throws `TOPIC_MISMATCH` if one exists with another number of partitions. */
  createTopics(topics: readonly TopicSettings[]): Promise<void>;

  /**
   * All or nothing over all topics, with the consumed offsets. The writers may be reused once it
   * settles. Throws `BROKER_FENCED` if an assignment in `consumed`, or `producer`, is no longer ours.
   * `producer` names a writer of which there may be one: the newest process to use it wins.
   */
  publish(outgoing: readonly Outgoing[], by?: PublishOptions): Promise<void>;

  /**
   * Takes the name of a producer over: who used it before is fenced, and what it left unfinished is undone.
   * To be called before reading how far it has come; and after a publish of it has failed, as that is
   * `BROKER_FENCED` from then on.
   */
  fence(producer: string): Promise<void>;

  /**
   * Joins the group. Each delivery holds what has arrived, at most one batch per partition, in order
   * per partition; asking for the next does not commit the last. Ends when the signal aborts; leaving
   * the loop leaves the group.
   */
  subscribe(subscription: Subscription, signal: AbortSignal): AsyncIterable<readonly RecordBatch[]>;

  /** Records progress of a group. Never goes back: an older offset than the committed is ignored. */
  commit(consumed: readonly Consumed[]): Promise<void>;

  /** Reads one partition without a group, from an offset (or the next that exists) to its present end. */
  read(
    from: TopicPartition & { readonly next: Offset },
    signal: AbortSignal,
  ): AsyncIterable<ReadBatch>;

  /**
   * What is there and how far groups are: for lag, `plan`, `status`. What was published with an offset
   * that a group has committed can be read by then.
   */
  describe(): Promise<BrokerState>;

  /** First offset of the partition whose record is not older than `timestamp` (ms); the end if none. */
  offsetAt(partition: TopicPartition, timestamp: number): Promise<Offset>;

  /** Explicitly moves a group, also backwards (I2). Members in flight are fenced and start there. */
  seek(group: string, partition: TopicPartition, next: Offset): Promise<void>;
}

export type ReadBatch = Omit<RecordBatch, 'consumed'>;

export interface PublishOptions {
  readonly consumed?: readonly Consumed[];
  readonly producer?: string;
}

export interface BrokerState {
  readonly topics: readonly (TopicSettings & {
    /** Per partition: first offset kept, offset the next record gets, stored bytes. */
    readonly offsets: readonly {
      readonly start: Offset;
      readonly end: Offset;
      readonly bytes: number;
    }[];
  })[];
  readonly groups: readonly {
    readonly group: string;
    readonly members: number;
    readonly committed: readonly (TopicPartition & { readonly next: Offset })[];
  }[];
}
