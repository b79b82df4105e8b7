import type { Offset, RecordBatch, TopicPartition } from '../broker/broker.ts';

/**
 * A place outside that holds tables made of changes.
 *
 * Durability: `write` resolves only when rows and offsets are durable there, in one transaction of the
 * sink; when it rejects, neither is. Idempotence: writing a batch twice, or late, leaves the tables as
 * if it had been written once, in order (I6). Fencing: after another worker's `open` of a partition,
 * `write` for it throws `SINK_FENCED` and changes nothing.
 */
export interface Sink extends AsyncDisposable {
  /**
   * Takes over partitions: raises their epoch in the ledger and says where each goes on. Partitions the
   * ledger does not know are left out.
   */
  open(
    partitions: readonly TopicPartition[],
  ): Promise<readonly (TopicPartition & { readonly next: Offset })[]>;

  /** Applies batches of partitions that are open, in one transaction. */
  write(batches: readonly RecordBatch[], signal: AbortSignal): Promise<Written>;
}

/** What a write did, for rates and lag. */
export interface Written {
  /** Changes in the batches, and rows that the tables gained, changed or lost by them. */
  readonly changes: number;
  readonly rows: number;
  /** Newest commit time in the source among them, ms; null if there was none. */
  readonly committedAt: number | null;
}
