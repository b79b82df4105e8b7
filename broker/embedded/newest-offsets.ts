import { KeyHash } from '../key-hash.ts';

/**
 * The newest offset of each key, for keys of any size: an open-addressing table of 128-bit hashes in
 * typed arrays, 24 bytes a key and no objects. Two keys that share a hash would lose a record; at 10
 * million keys that has a chance of about 1 in 10^24, and the seed keeps anybody from making it happen.
 */
export class NewestOffsets {
  readonly #capacity: number;
  readonly #mask: number;
  readonly #hashes: Int32Array;
  readonly #offsets: Float64Array;
  readonly #hash: KeyHash;
  #size = 0;

  /** Room for at least `keysMax` keys. */
  constructor(keysMax: number, seed = Math.floor(Math.random() * 2 ** 32)) {
    const slots = 2 ** Math.ceil(Math.log2(Math.max(16, keysMax * 1.5)));
    this.#capacity = keysMax;
    this.#mask = slots - 1;
    this.#hashes = new Int32Array(slots * 4);
    this.#offsets = new Float64Array(slots).fill(-1);
    this.#hash = new KeyHash(seed);
  }

  get size(): number {
    return this.#size;
  }

  get full(): boolean {
    return this.#size >= this.#capacity;
  }

  /** Remembers the newest offset of a key; false, and nothing changed, if it is new and there is no room. */
  put(bytes: Buffer, bounds: KeyBounds, offset: number): boolean {
    const slot = this.#find(bytes, bounds);
    const before = this.#offsets[slot] as number;
    if (before < 0) {
      if (this.full) return false;
      const { a, b, c, d } = this.#hash;
      const at = slot * 4;
      this.#hashes[at] = a;
      this.#hashes[at + 1] = b;
      this.#hashes[at + 2] = c;
      this.#hashes[at + 3] = d;
      this.#size++;
    }
    if (offset > before) this.#offsets[slot] = offset;
    return true;
  }

  /** Newest offset of a key; -1 if it is not there. */
  get(bytes: Buffer, bounds: KeyBounds): number {
    return this.#offsets[this.#find(bytes, bounds)] as number;
  }

  clear(): void {
    this.#offsets.fill(-1);
    this.#size = 0;
  }

  /** The slot of the key, or the free one where it belongs. There is always a free one. */
  #find(bytes: Buffer, bounds: KeyBounds): number {
    const hashes = this.#hashes;
    const { a, b, c, d } = this.#hash.ofKey(bytes, bounds.keyStart, bounds.keyLength);
    let slot = a & this.#mask;
    while ((this.#offsets[slot] as number) >= 0) {
      const at = slot * 4;
      const same = hashes[at] === a && hashes[at + 1] === b;
      if (same && hashes[at + 2] === c && hashes[at + 3] === d) return slot;
      slot = (slot + 1) & this.#mask;
    }
    return slot;
  }
}

/** Where a key lies in a buffer; a record cursor fits. */
export interface KeyBounds {
  readonly keyStart: number;
  readonly keyLength: number;
}
