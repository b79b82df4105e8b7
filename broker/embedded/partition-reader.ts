import { offset, type Offset } from '../broker.ts';
import type { Segment } from '../records.ts';
import { cutSegment } from '../segment-cut.ts';
import { requireInRange, type PartitionLog } from './partition-log.ts';
import { segmentOf, type SegmentTable } from './segment-table.ts';

/** Records taken from a partition: `next` is where to go on. */
export interface Taken {
  readonly segments: readonly Segment[];
  readonly count: number;
  readonly bytes: number;
  readonly next: Offset;
}

/** A segment that is read, with the offsets `[first, next)` that it stands for. */
interface Loaded {
  readonly segment: Segment;
  readonly first: number;
  readonly next: number;
}

export interface TakeBounds {
  readonly wanted: number;
  readonly most: number;
  /** Records, at most. */
  readonly records: number;
  readonly mayCut: boolean;
  /** Offset to stop before. */
  readonly limit: number;
}

/** Reads one partition in order. It reads only when asked, and keeps at most a segment cut in two. */
export class PartitionReader {
  readonly log: PartitionLog;
  readonly #table: SegmentTable;
  readonly #who: string;
  #next: number;
  #rest: Loaded | null = null;

  /** `who` is named in the error if the offset is not there. */
  constructor(table: SegmentTable, log: PartitionLog, from: { next: number; who: string }) {
    this.log = log;
    this.#table = table;
    this.#next = from.next;
    this.#who = from.who;
    requireInRange(log, from.next, from.who);
  }

  /** Whether there is something to take. */
  get behind(): boolean {
    return this.#next < this.log.end;
  }

  /**
   * Takes whole segments until about `wanted` bytes, at least one. One above the bounds is cut, or left
   * for another time where it `mayCut` not. Null if there is nothing to take.
   */
  async take(bounds: TakeBounds): Promise<Taken | null> {
    const { limit } = bounds;
    if (this.#next >= limit) return null;
    const loading = this.#load(bounds);
    if (loading === null) return null;
    const segments: Segment[] = [];
    let bytes = 0;
    let count = 0;
    for (const loaded of await loading) {
      const segment = this.#fit(loaded, bounds);
      if (segment === null) continue;
      segments.push(segment);
      bytes += segment.bytes.length;
      count += segment.count;
    }
    // Compaction may have taken all that was left before the limit.
    if (count === 0) this.#next = limit;
    return count === 0 ? null : { segments, count, bytes, next: offset(this.#next) };
  }

  /** Null if the next segment is too large for now. */
  #load(bounds: TakeBounds): Promise<readonly Loaded[]> | null {
    const { wanted, most, records, mayCut } = bounds;
    const rest = this.#rest;
    if (rest !== null) {
      return mayCut || isWithin(rest.segment, bounds) ? Promise.resolve([rest]) : null;
    }
    requireInRange(this.log, this.#next, this.#who);
    const rows = this.#table.after(this.log.id, this.#next, {
      sizeMax: wanted,
      recordsMax: records,
    });
    const [row] = rows;
    if (!mayCut && row !== undefined && (row.size > most || row.count > records)) return null;
    return Promise.all(
      rows.map(async (row) => ({
        segment: await segmentOf(row),
        first: row.first,
        next: row.next,
      })),
    );
  }

  /** What of a segment may be delivered; it moves `next` on and keeps what is left for later. */
  #fit({ segment, first, next }: Loaded, bounds: TakeBounds): Segment | null {
    const { most, records, limit } = bounds;
    this.#rest = null;
    if (first >= this.#next && next <= limit && isWithin(segment, bounds)) {
      this.#next = next;
      return segment;
    }
    const cut = cutSegment(segment, {
      from: this.#next,
      limit,
      bytesMax: most,
      recordsMax: records,
    });
    if (cut.rest === null) this.#next = next;
    else if (cut.segment !== null) {
      this.#next = cut.next;
      this.#rest = { segment: cut.rest, first: cut.next, next };
    }
    return cut.segment;
  }
}

function isWithin({ bytes, count }: Segment, { most, records }: TakeBounds): boolean {
  return bytes.length <= most && count <= records;
}
