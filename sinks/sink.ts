import type {
  Offset,
  ReadBatch,
  RecordBatch,
  TopicName,
  TopicPartition,
} from '../broker/broker.ts';
import type { ErrorCode } from '../errors.ts';

/**
 * A place outside that holds tables made of changes.
 *
 * Durability: `write` resolves only when rows and offsets are durable there, each partition's rows in one
 * transaction with its offset; when it rejects, whatever is durable is so with its offset. Idempotence:
 * writing a batch twice, or late, leaves the tables as if it had been written once, in order (I6).
 * Fencing: after another worker's `open` of a partition, `write` for it throws `SINK_FENCED` and changes
 * nothing.
 *
 * Parking: a table that cannot take a change, as {@link parksTable} says, stops at its offset in the
 * ledger, durably, until it is resumed or rebuilt; the other tables go on (I4, I7).
 */
export interface Sink extends AsyncDisposable {
  /**
   * Takes over partitions: raises their epoch in the ledger and says where each goes on. Partitions the
   * ledger does not know are left out.
   */
  open(
    partitions: readonly TopicPartition[],
  ): Promise<readonly (TopicPartition & { readonly next: Offset })[]>;

  /**
   * Applies batches of partitions that are open, but for those of tables that are or get parked. The bytes
   * of their segments are given away: the caller does not look at them again.
   */
  write(batches: readonly RecordBatch[], signal: AbortSignal): Promise<Written>;

  /** The tables that are parked. */
  parked(): Promise<readonly ParkedTable[]>;

  /** Lets a table take changes again from where it stopped; nothing if it is not parked. */
  resume(topic: TopicName): Promise<void>;

  /**
   * Begins to make the table of a `.changes` topic anew, beside the one that is there. Throws
   * `SINK_TABLE_CONFLICT` if that is not ours, `REBUILD_REFUSED` if it cannot be made from that.
   */
  rebuild(topic: TopicName, from: RebuildFrom): Promise<Rebuild>;
}

/** What a table is made from: all of its changes, or its newest rows and the changes after them. */
export type RebuildFrom = 'changes' | 'latest';

/**
 * A table that is made beside the one in its place, which stays and goes on until it is replaced. Given up
 * when it is disposed before that, or the sink is; nothing is left of it then.
 */
export interface Rebuild extends AsyncDisposable {
  /** Applies batches of `.changes` or `.latest`, as {@link Sink.write}; throws why one is refused. */
  write(batches: readonly ReadBatch[]): Promise<void>;

  /**
   * Puts it into the place of the other and sets the partitions of the topic to where they go on, in one
   * transaction (I2: an explicit reset). They must be opened again. The table is no longer parked.
   */
  replace(starts: readonly PartitionStart[]): Promise<void>;
}

/** What a sink holds of a topic. */
export interface TableHeld {
  readonly topic: TopicName;
  /** Rows that are there now: those marked as deleted are not. */
  readonly rows: number;
  /** Changes that were given for it, in all. */
  readonly changes: number;
  /** Where each partition goes on. */
  readonly partitions: readonly PartitionStart[];
}

export interface PartitionStart {
  readonly partition: number;
  readonly next: Offset;
}

/** What a write did, for rates and lag. */
export interface Written {
  /** Changes in the batches, and rows that the tables gained, changed or lost by them. */
  readonly changes: number;
  readonly rows: number;
  /** Newest commit time in the source among them, ms; null if there was none. */
  readonly committedAt: number | null;
  /** Tables that did not take all that was given for them: they are parked. */
  readonly refused: readonly ParkedTable[];
}

/** A table that takes no changes, and why. */
export interface ParkedTable {
  readonly topic: TopicName;
  /** Its name in the sink. */
  readonly table: string;
  readonly code: ErrorCode;
  readonly message: string;
  /** Which table, column or record it is about; never a value. */
  readonly place: string | null;
  readonly expected: string | null;
  readonly remedy: string;
  /** Milliseconds since 1970. */
  readonly parkedAt: number;
  /** Where each partition goes on; null for its beginning. */
  readonly partitions: readonly { readonly partition: number; readonly next: Offset | null }[];
}
