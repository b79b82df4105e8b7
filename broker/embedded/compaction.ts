import type { DatabaseSync } from 'node:sqlite';
import { RecordCursor, RecordWriter } from '../records.ts';
import { offset } from '../broker.ts';
import { transaction } from './database.ts';
import { NewestOffsets } from './newest-offsets.ts';
import type { PartitionLog } from './partition-log.ts';
import { storeBody } from './segment-body.ts';
import { segmentOf, type SegmentRow, type SegmentTable } from './segment-table.ts';

/** Keys that one pass looks at: 48 MiB. A partition with more new keys takes several passes. */
const KEYS_PER_PASS = 1_300_000;
/** Packed bytes that are read, or rewritten in one transaction, before others get their turn. */
const SLICE_BYTES = 1024 * 1024;
/** How far apart publishes in one row may be, as a share of the tombstones' retention. */
const TOMBSTONE_SPREAD = 1 / 16;

export interface CompactionParts {
  readonly database: DatabaseSync;
  readonly table: SegmentTable;
  /** Lets everybody else run; throws when the broker closes. */
  readonly pause: () => Promise<void>;
  readonly keysPerPass?: number;
}

/**
 * Keeps the newest record of each key of a partition, as Kafka's log cleaner does: a pass collects the
 * newest offsets of the keys in the part not cleaned yet, then goes through everything up to there and
 * leaves out what is superseded. Offsets and order stay; records without a key stay.
 *
 * Slices are transactions of their own and go upwards, so an older value never outlives the newer one
 * or the tombstone that superseded it, wherever a crash ends the pass. The last record of a partition
 * always stays, so that readers and the lag come to the end.
 */
export async function compact(of: CompactionParts, log: PartitionLog, now: number): Promise<void> {
  const keys = new NewestOffsets(of.keysPerPass ?? keysFor(log));
  do {
    keys.clear();
    const dirty = {
      bytes: log.dirtyBytes,
      segments: log.dirtySegments,
      supersedes: log.supersedes,
    };
    const upTo = await collect(of, log, keys);
    await clean(of, log, { keys, upTo, last: log.end - 1, tombstonesBefore: expiry(log, now) });
    transaction(of.database, () => of.table.tidy(log.id, { start: log.start, cleaned: upTo }, 0));
    log.cleaned = upTo;
    // What was published meanwhile is dirty; the pass itself has changed the rest.
    log.dirtyBytes -= dirty.bytes;
    log.dirtySegments -= dirty.segments;
    log.supersedes -= dirty.supersedes;
  } while (keys.full && log.cleaned < log.end);
}

/** A table for a small partition need not be large: no record has less than 36 bytes of its own. */
const keysFor = (log: PartitionLog): number =>
  Math.max(1024, Math.min(KEYS_PER_PASS, log.end - log.cleaned));

export const expiry = (log: PartitionLog, now: number): number =>
  now - log.settings.tombstoneRetentionMs;

/** Puts keys from `cleaned` on into the table; returns the offset before which all are in it. */
async function collect(
  of: CompactionParts,
  log: PartitionLog,
  keys: NewestOffsets,
): Promise<number> {
  const end = log.end;
  let at = log.cleaned;
  while (at < end) {
    const rows = of.table.after(log.id, at, { sizeMax: SLICE_BYTES });
    if (rows.length === 0) return end;
    for (const row of rows) {
      const cursor = new RecordCursor((await segmentOf(row)).bytes);
      while (cursor.next()) {
        const position = row.base + cursor.delta;
        if (position < at || cursor.keyLength < 0) continue;
        if (!keys.put(cursor.bytes, cursor, position)) return position;
      }
      at = row.next;
    }
    await of.pause();
  }
  return at;
}

interface Pass {
  readonly keys: NewestOffsets;
  readonly upTo: number;
  /** Offset of the record that stays in any case. */
  readonly last: number;
  /** Tombstones published before this time may go. */
  readonly tombstonesBefore: number;
}

async function clean(of: CompactionParts, log: PartitionLog, pass: Pass): Promise<void> {
  let at = log.start;
  while (at < pass.upTo) {
    const rows = neighbours(of.table.after(log.id, at, { sizeMax: SLICE_BYTES }), log);
    const last = rows.at(-1);
    if (last === undefined) return;
    await rewrite(of, log, { rows, pass });
    at = last.next;
    await of.pause();
  }
}

/** Rows that may become one: where there are tombstones, their ages must not differ by much. */
function neighbours(rows: readonly SegmentRow[], log: PartitionLog): readonly SegmentRow[] {
  const spreadMax = log.settings.tombstoneRetentionMs * TOMBSTONE_SPREAD;
  let tombstones = 0;
  let first = Infinity;
  let last = -Infinity;
  const other = rows.findIndex((row) => {
    tombstones += row.tombstones;
    first = Math.min(first, row.published_first);
    last = Math.max(last, row.published_last);
    const tooWide = tombstones > 0 && last - first > spreadMax;
    return tooWide || row.next - (rows[0]?.first ?? 0) > 0xffffffff;
  });
  return other < 0 ? rows : rows.slice(0, Math.max(1, other));
}

/**
 * Replaces rows by one with what stays of them, unless that changes nothing. Nobody else changes rows of
 * a partition that compacts, so that others may have their turn between reading and replacing.
 */
async function rewrite(
  { database, table }: CompactionParts,
  log: PartitionLog,
  { rows, pass }: { rows: readonly SegmentRow[]; pass: Pass },
): Promise<void> {
  const [first] = rows;
  const last = rows.at(-1);
  if (first === undefined || last === undefined) return;
  const kept = new RecordWriter(64 * 1024);
  let newest = 0;
  let tombstones = 0;
  for (const row of rows) {
    const cursor = new RecordCursor((await segmentOf(row)).bytes);
    while (cursor.next()) {
      const position = row.base + cursor.delta;
      if (!stays(cursor, position, { row, pass })) continue;
      const at = kept.out.position;
      kept.copy(cursor);
      kept.out.bytes.writeUInt32LE(position - first.first, at + 4);
      newest = Math.max(newest, cursor.timestamp);
      if (cursor.valueLength < 0) tombstones++;
    }
  }
  if (rows.length === 1 && kept.count === first.count) return;
  const before = rows.reduce((sum, { body }) => sum + body.length, 0);
  const packed = kept.written();
  const body = await storeBody(packed);
  const bytesLost = before - (kept.count === 0 ? 0 : body.body.length);
  transaction(database, () => {
    for (const { id } of rows) table.delete(id);
    if (kept.count > 0) {
      table.insert(log.id, {
        ...body,
        base: offset(first.first),
        first: first.first,
        next: last.next,
        count: kept.count,
        size: packed.length,
        newest,
        publishedFirst: Math.min(...rows.map((row) => row.published_first)),
        publishedLast: Math.max(...rows.map((row) => row.published_last)),
        tombstones,
      });
    }
    table.tidy(log.id, log, bytesLost);
  });
  log.bytes -= bytesLost;
}

function stays(
  cursor: RecordCursor,
  position: number,
  { row, pass }: { row: SegmentRow; pass: Pass },
): boolean {
  if (cursor.keyLength < 0 || position >= pass.upTo || position === pass.last) return true;
  if (pass.keys.get(cursor.bytes, cursor) > position) return false;
  return cursor.valueLength >= 0 || row.published_last > pass.tombstonesBefore;
}
