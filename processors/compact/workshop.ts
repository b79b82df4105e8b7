import type { CompactCounters } from './counters.ts';
import type { RowLog } from './row-log.ts';
import type { WholeRow } from './whole-row.ts';

/** What all partitions of a processor share. */
export interface Workshop {
  readonly rows: RowLog;
  readonly whole: WholeRow;
  readonly counters: CompactCounters;
  readonly tombstoneRetentionMs: number;
  /** Bytes of `.changes` and of a truncate's tombstones after which a call makes no more. */
  readonly outgoingBytesMax: number;
}

/**
 * `done`, or why a record was not taken and is to be given again. `moved`: it lacks columns of the row that
 * it was in another partition.
 */
export type Taken = 'done' | 'full' | 'schema-unknown' | 'moved';
