import type { RowPlace } from './key-table.ts';
import type { RowLog } from './row-log.ts';

/** The block of packed records that is being made in some buffer, and will go to the row log next. */
export class RowBlock {
  readonly #rows: RowLog;
  readonly #place: RowPlace = { segment: -1, offset: 0, length: 0 };
  #segment = -1;
  /** Where the block's first record is in its buffer, and what leads from there to the row log. */
  #from = 0;
  #base = 0;

  constructor(rows: RowLog) {
    this.#rows = rows;
  }

  begin(from: number): void {
    this.#rows.begin();
    this.#segment = this.#rows.segment;
    this.#from = from;
    this.#base = this.#rows.offset - from;
  }

  /** The place that the record at `[start, end)` of the buffer will have, as the newest row of a key. */
  claim(start: number, end: number): RowPlace {
    const place = this.#place;
    place.segment = this.#segment;
    place.offset = this.#base + start;
    place.length = end - start;
    this.#rows.claim(place.length);
    return place;
  }

  has({ segment, offset }: RowPlace): boolean {
    return segment === this.#segment && offset >= this.#base + this.#from;
  }

  /** Where a record that it has starts in the buffer. */
  start({ offset }: RowPlace): number {
    return offset - this.#base;
  }

  /** Appends the block: `buffer` from where it began to `end`. */
  append(owner: number, buffer: Buffer, end: number): void {
    this.#rows.append(owner, buffer.subarray(this.#from, end));
    this.#segment = -1;
  }
}
