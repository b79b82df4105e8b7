import type { RecordCursor } from '../../broker/records.ts';

/** The version of a partition's newest truncate: whatever is at or below it is stale. */
export class Watermark {
  #high = -0x80000000;
  #low = 0;

  covers({ versionHigh, versionLow }: RecordCursor): boolean {
    const byHigh = versionHigh - this.#high;
    return byHigh === 0 ? versionLow <= this.#low : byHigh < 0;
  }

  raise(cursor: RecordCursor): void {
    if (this.covers(cursor)) return;
    this.#high = cursor.versionHigh;
    this.#low = cursor.versionLow;
  }
}
