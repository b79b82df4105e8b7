import type { OutgoingBuffer } from '../../broker/outgoing-buffer.ts';
import type { CopyRunner } from './copy-runner.ts';
import type { MovedRows } from './moved-rows.ts';
import type { ResolvedOptions } from './options.ts';
import type { StreamTables } from './stream-tables.ts';
import type { StreamTopics } from './stream-topics.ts';
import type { WalPosition } from './wal-position.ts';

/** What a stream of changes works with. */
export interface StreamParts {
  readonly options: ResolvedOptions;
  readonly after: WalPosition;
  readonly tables: StreamTables;
  /** Where everything is written. */
  readonly buffer: OutgoingBuffer;
  readonly topics: StreamTopics;
  readonly copies: CopyRunner;
  readonly moved: MovedRows;
  /** I1: what the server may forget, as far as it was acknowledged. */
  readonly flushed: () => bigint;
}
