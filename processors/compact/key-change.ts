import { RecordWriter, type RecordCursor } from '../../broker/records.ts';
import { MOVED } from './headers.ts';

const BYTES_KEPT = 64 * 1024;

/**
 * The last delete that was the first half of a key change, for the insert that is its second half and
 * may need columns of the deleted row.
 *
 * Both carry the version of the one change and are next to each other in the partition, if both keys
 * are at home there: so they belong together if the last such delete has the version of the insert.
 */
export class KeyChange {
  /** The delete's record, once the output that it was in is gone. */
  readonly #kept = new RecordWriter(0);
  /** Where it starts in the output that is being made; -1 if it is not there. */
  #start = -1;
  #high = 0;
  #low = 0;
  #open = false;

  /** A delete that names a new key was written at `start`. */
  begin(cursor: RecordCursor, start: number): void {
    this.#start = start;
    this.#high = cursor.versionHigh;
    this.#low = cursor.versionLow;
    this.#open = true;
  }

  /** Something came after it: its insert, or the insert is not of this partition. */
  passed(): void {
    this.#open = false;
  }

  /** Whether the record that starts there waits for an insert that may still come. */
  isOpen(start: number): boolean {
    return this.#open && this.#start === start;
  }

  /** Stands `row` on the delete that belongs to an insert; null if it is not known. */
  find(insert: RecordCursor, changes: RecordWriter, row: RecordCursor): RecordCursor | null {
    if (this.#high !== insert.versionHigh || this.#low !== insert.versionLow) return null;
    if (this.#start >= 0) return row.stand(changes.out.bytes, this.#start);
    return this.#kept.count > 0 ? row.stand(this.#kept.out.bytes, 0) : null;
  }

  /** Takes the record over from an output that is about to go. */
  keep(changes: RecordWriter, cursor: RecordCursor): void {
    if (this.#start < 0) return;
    this.#kept.reset(BYTES_KEPT);
    this.#kept.copy(cursor.stand(changes.out.bytes, this.#start));
    this.#start = -1;
  }

  /** Makes the delete again from its tombstone, whose header {@link MOVED} has been found. */
  restore(tombstone: RecordCursor): void {
    const kept = this.#kept;
    const { bytes, headerStart, headerLength } = tombstone;
    kept.reset(BYTES_KEPT);
    kept.startLike(tombstone);
    kept.out.raw(bytes, headerStart, headerStart + headerLength);
    kept.endValue();
    kept.headersLike(tombstone, MOVED);
    kept.finish();
    this.#start = -1;
    this.#high = tombstone.versionHigh;
    this.#low = tombstone.versionLow;
  }
}
