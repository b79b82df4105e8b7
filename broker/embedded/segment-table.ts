import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { offset } from '../broker.ts';
import type { Segment } from '../records.ts';
import type { PartitionLog } from './partition-log.ts';
import { loadBody, type SegmentBody } from './segment-body.ts';

/** A row of the table `segments`. */
export interface SegmentRow extends SegmentBody {
  readonly id: number;
  readonly base: number;
  readonly first: number;
  readonly next: number;
  readonly count: number;
  /** Bytes of the packed records. */
  readonly size: number;
  readonly published_first: number;
  readonly published_last: number;
  readonly tombstones: number;
}

/** What is known of a segment without reading its row. */
export interface SegmentMark {
  readonly id: number;
  readonly next: number;
  readonly stored: number;
  readonly published_last: number;
}

export interface NewSegment extends SegmentBody {
  readonly base: number;
  readonly first: number;
  readonly next: number;
  readonly count: number;
  readonly size: number;
  readonly newest: number;
  readonly publishedFirst: number;
  readonly publishedLast: number;
  readonly tombstones: number;
}

/** The statements on segments. None of them begins or ends a transaction. */
export class SegmentTable {
  readonly #insert: StatementSync;
  readonly #after: StatementSync;
  readonly #oldest: StatementSync;
  readonly #since: StatementSync;
  readonly #expired: StatementSync;
  readonly #delete: StatementSync;
  readonly #grow: StatementSync;
  readonly #tidy: StatementSync;

  constructor(database: DatabaseSync) {
    this.#insert = database.prepare(`
      INSERT INTO segments (partition, base, first, next, count, size, stored, newest, published_first,
        published_last, tombstones, codec, crc, body)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#after = database.prepare(`
      SELECT id, base, first, next, count, size, published_first, published_last, tombstones, codec, crc,
        body
      FROM segments WHERE partition = ? AND next > ? ORDER BY next`);
    this.#oldest = database.prepare(`
      SELECT id, next, stored, published_last FROM segments INDEXED BY by_offset
      WHERE partition = ? ORDER BY next LIMIT ?`);
    this.#since = database.prepare(`
      SELECT next FROM segments INDEXED BY by_offset
      WHERE partition = ? AND newest >= ? ORDER BY next LIMIT 1`);
    this.#expired = database.prepare(`
      SELECT 1 FROM segments INDEXED BY by_offset
      WHERE partition = ? AND next <= ? AND tombstones > 0 AND published_last <= ? LIMIT 1`);
    this.#delete = database.prepare('DELETE FROM segments WHERE id = ?');
    this.#grow = database.prepare(
      'UPDATE partitions SET "end" = ?, bytes = bytes + ? WHERE id = ?',
    );
    this.#tidy = database.prepare(
      'UPDATE partitions SET start = ?, cleaned = ?, bytes = bytes + ? WHERE id = ?',
    );
  }

  insert(partition: number, segment: NewSegment): void {
    const { base, first, next, count, size, body, newest, tombstones, codec, crc } = segment;
    const { publishedFirst, publishedLast } = segment;
    // prettier-ignore
    this.#insert.run(partition, base, first, next, count, size, body.length, newest, publishedFirst,
      publishedLast, tombstones, codec, crc, body);
  }

  delete(id: number): void {
    this.#delete.run(id);
  }

  /** Writes where a partition ends now and the bytes it has gained. */
  grow(id: number, end: number, bytesGained: number): void {
    this.#grow.run(end, bytesGained, id);
  }

  /** Writes where a partition begins and is cleaned up to now, and the bytes it has lost. */
  tidy(
    id: number,
    { start, cleaned }: { start: number; cleaned: number },
    bytesLost: number,
  ): void {
    this.#tidy.run(start, cleaned, -bytesLost, id);
  }

  /** Rows that hold offsets at or after `from`, in order, while size and records last; at least one. */
  after(
    partition: number,
    from: number,
    { sizeMax, recordsMax = Infinity }: { sizeMax: number; recordsMax?: number },
  ): SegmentRow[] {
    const found: SegmentRow[] = [];
    let size = 0;
    let records = 0;
    for (const row of this.#after.iterate(partition, from) as Iterable<unknown>) {
      const segment = row as SegmentRow;
      size += segment.size;
      records += segment.count;
      if (found.length > 0 && (size > sizeMax || records > recordsMax)) break;
      found.push(segment);
      if (size >= sizeMax || records >= recordsMax) break;
    }
    return found;
  }

  oldest(partition: number, limit: number): SegmentMark[] {
    return this.#oldest.all(partition, limit) as unknown as SegmentMark[];
  }

  /** Whether compaction may drop tombstones that it has kept so far. */
  hasExpired(log: PartitionLog, publishedBefore: number): boolean {
    return this.#expired.get(log.id, log.cleaned, publishedBefore) !== undefined;
  }

  /** The first row with a record that is not older than `timestamp`. */
  since(partition: number, timestamp: number): SegmentRow | null {
    const next = this.#since.get(partition, timestamp)?.['next'];
    return next === undefined
      ? null
      : (this.after(partition, Number(next) - 1, { sizeMax: 0 })[0] ?? null);
  }
}

export function segmentOf(row: SegmentRow): Segment | Promise<Segment> {
  const bytes = loadBody(row, row.size);
  if (Buffer.isBuffer(bytes)) return packed(row, bytes);
  return bytes.then((loaded) => packed(row, loaded));
}

const packed = (row: SegmentRow, bytes: Buffer): Segment => ({
  base: offset(row.base),
  bytes,
  count: row.count,
});
