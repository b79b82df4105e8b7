import { RecordCursor, type RecordWriter } from '../../broker/records.ts';
import type { KeyChange } from './key-change.ts';
import { writeTombstone } from './tombstone.ts';

const DELETE = 'd'.charCodeAt(0);

/**
 * What one call has written to `.changes` for keys, in order: the key's entry and where the record
 * starts. A record whose key changes again in the same call is superseded.
 */
export class Accepted {
  count = 0;
  /** How many of them were superseded. */
  superseded = 0;
  readonly #cursor = new RecordCursor(Buffer.alloc(0));
  #entries = new Int32Array(256);
  #starts = new Int32Array(256);

  clear(): void {
    this.count = 0;
    this.superseded = 0;
  }

  add(entry: number, start: number): void {
    if (this.count === this.#entries.length) {
      this.#entries = grown(this.#entries);
      this.#starts = grown(this.#starts);
    }
    this.#entries[this.count] = entry;
    this.#starts[this.count] = start;
    this.count++;
  }

  /** Writes the newest record of each key to `.latest`, and for a delete its tombstone. */
  publish(changes: RecordWriter, latest: RecordWriter, keyChange: KeyChange): void {
    const cursor = this.#cursor;
    const { bytes } = changes.out;
    // Records that follow each other are copied in one piece.
    let runStart = 0;
    let runEnd = 0;
    for (let index = 0; index < this.count; index++) {
      if ((this.#entries[index] as number) < 0) continue;
      cursor.stand(bytes, this.#starts[index] as number);
      if (cursor.op !== DELETE && cursor.start === runEnd) {
        runEnd = cursor.end;
        continue;
      }
      latest.copyRun(bytes, runStart, runEnd);
      runStart = cursor.start;
      runEnd = cursor.op === DELETE ? runStart : cursor.end;
      if (cursor.op === DELETE) writeTombstone(latest, cursor, keyChange.isOpen(cursor.start));
    }
    latest.copyRun(bytes, runStart, runEnd);
  }

  /** The record of that entry that starts there is no longer its newest. */
  supersedeAt(start: number): void {
    let low = 0;
    for (let high = this.count; high - low > 1;) {
      const middle = (low + high) >>> 1;
      if ((this.#starts[middle] as number) <= start) low = middle;
      else high = middle;
    }
    this.#entries[low] = -1;
    this.superseded++;
  }

  /** The same by number; false if it is no record of that entry: numbers outlive the call. */
  supersede(index: number, entry: number): boolean {
    if (index >= this.count || this.#entries[index] !== entry) return false;
    this.#entries[index] = -1;
    this.superseded++;
    return true;
  }
}

function grown(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(2 * array.length);
  larger.set(array);
  return larger;
}
