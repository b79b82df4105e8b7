/**
 * What one call has written to `.changes` for keys, in order: the key's entry and where the record
 * starts. A record whose key changes again in the same call is superseded.
 */
export class Accepted {
  count = 0;
  #entries = new Int32Array(256);
  #starts = new Int32Array(256);

  add(entry: number, start: number): void {
    if (this.count === this.#entries.length) {
      this.#entries = grown(this.#entries);
      this.#starts = grown(this.#starts);
    }
    this.#entries[this.count] = entry;
    this.#starts[this.count] = start;
    this.count++;
  }

  start(index: number): number {
    return this.#starts[index] as number;
  }

  isNewest(index: number): boolean {
    return (this.#entries[index] as number) >= 0;
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
  }

  /** The same by number, if it is a record of that entry at all: numbers outlive the call. */
  supersede(index: number, entry: number): void {
    if (index < this.count && this.#entries[index] === entry) this.#entries[index] = -1;
  }
}

function grown(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(2 * array.length);
  larger.set(array);
  return larger;
}
