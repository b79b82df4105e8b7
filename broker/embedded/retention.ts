import type { DatabaseSync } from 'node:sqlite';
import { transaction } from './database.ts';
import type { PartitionLog } from './partition-log.ts';
import type { SegmentMark, SegmentTable } from './segment-table.ts';

/** Rows that one transaction may delete, so that a writer waits for milliseconds at most. */
const ROWS_PER_SLICE = 32;

/**
 * Forgets the oldest segments of a `delete` partition: those whose newest record was *published*
 * longer ago than `retentionMs` (a record's own time is the source's and may be years back), and as
 * many as still leave `retentionBytes`. Deletes one slice; true if there may be more.
 *
 * Age alone forgets nothing from `needed` on (I4): a clock that jumps, or a week in which nothing ran, makes
 * records old that a reader is about to read.
 */
export function forgetOldest(
  { database, table }: { database: DatabaseSync; table: SegmentTable },
  log: PartitionLog,
  { now, needed }: { readonly now: number; readonly needed: number },
): boolean {
  const oldest = table.oldest(log.id, ROWS_PER_SLICE);
  // What is not durable yet is not there yet: see the publishing.
  const gone = tooOld(oldest, log, { now, needed }).filter(({ next }) => next <= log.end);
  const last = gone.at(-1);
  if (last === undefined) return false;
  const bytesLost = gone.reduce((sum, { stored }) => sum + stored, 0);
  transaction(database, () => {
    for (const { id } of gone) table.delete(id);
    table.tidy(log.id, { start: last.next, cleaned: log.cleaned }, bytesLost);
  });
  log.start = last.next;
  log.bytes -= bytesLost;
  return gone.length === ROWS_PER_SLICE;
}

function tooOld(
  oldest: readonly SegmentMark[],
  log: PartitionLog,
  { now, needed }: { readonly now: number; readonly needed: number },
): SegmentMark[] {
  const { retentionMs, retentionBytes } = log.settings;
  const publishedBefore = retentionMs === null ? -Infinity : now - retentionMs;
  let bytes = log.bytes;
  const kept = oldest.findIndex(({ stored, published_last, next }) => {
    const tooMuch = retentionBytes !== null && bytes - stored >= retentionBytes;
    const old = published_last <= publishedBefore && next <= needed;
    if (!old && !tooMuch) return true;
    bytes -= stored;
    return false;
  });
  return oldest.slice(0, kept < 0 ? oldest.length : kept);
}
