import type { RecordCursor, RecordHead, RecordWriter } from '../../broker/records.ts';
import { MOVED, TRUNCATED, UNCHANGED } from './headers.ts';

/** The tombstone of a delete; with the deleted row if the insert of a key change may still need it. */
export function writeTombstone(
  latest: RecordWriter,
  deleted: RecordCursor,
  withRow: boolean,
): void {
  latest.startLike(deleted);
  latest.nullValue();
  if (withRow) {
    latest.header(MOVED, deleted.value());
    const unchanged = deleted.header(UNCHANGED.toString());
    if (unchanged !== undefined) latest.header(UNCHANGED, unchanged);
  }
  latest.finish();
}

/** The tombstone of a row that a truncate deletes; the last of them says that the truncate is done. */
export function writeTruncated(
  latest: RecordWriter,
  row: RecordCursor,
  { truncate, isLast }: { readonly truncate: RecordCursor; readonly isLast: boolean },
): void {
  const head: RecordHead = {
    timestamp: truncate.timestamp,
    op: 'd'.charCodeAt(0),
    versionHigh: truncate.versionHigh,
    versionLow: truncate.versionLow,
  };
  latest.start(head, row.key());
  latest.nullValue();
  if (isLast) latest.header(TRUNCATED, null);
  latest.finish();
}
