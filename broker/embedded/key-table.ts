/**
 * The newest offset of each key, for keys of any size: an open-addressing table of 128-bit hashes in
 * typed arrays, 24 bytes a key and no objects. Two keys that share a hash would lose a record; at 10
 * million keys that has a chance of about 1 in 10^24, and the seed keeps anybody from making it happen.
 *
 * Hash: MurmurHash3_x86_128 (Austin Appleby, public domain).
 */
export class KeyTable {
  readonly #capacity: number;
  readonly #mask: number;
  readonly #hashes: Uint32Array;
  readonly #offsets: Float64Array;
  readonly #seed: number;
  readonly #hash = new Uint32Array(4);
  #size = 0;

  /** Room for at least `keysMax` keys. */
  constructor(keysMax: number, seed = Math.floor(Math.random() * 2 ** 32)) {
    const slots = 2 ** Math.ceil(Math.log2(Math.max(16, keysMax * 1.5)));
    this.#capacity = keysMax;
    this.#mask = slots - 1;
    this.#hashes = new Uint32Array(slots * 4);
    this.#offsets = new Float64Array(slots).fill(-1);
    this.#seed = seed;
  }

  get size(): number {
    return this.#size;
  }

  get full(): boolean {
    return this.#size >= this.#capacity;
  }

  /** Remembers the newest offset of a key; false, and nothing changed, if it is new and there is no room. */
  put(bytes: Uint8Array, bounds: KeyBounds, offset: number): boolean {
    const slot = this.#find(bytes, bounds);
    const before = this.#offsets[slot] as number;
    if (before < 0) {
      if (this.full) return false;
      this.#hashes.set(this.#hash, slot * 4);
      this.#size++;
    }
    if (offset > before) this.#offsets[slot] = offset;
    return true;
  }

  /** Newest offset of a key; -1 if it is not there. */
  get(bytes: Uint8Array, bounds: KeyBounds): number {
    return this.#offsets[this.#find(bytes, bounds)] as number;
  }

  clear(): void {
    this.#offsets.fill(-1);
    this.#size = 0;
  }

  /** The slot of the key, or the free one where it belongs. There is always a free one. */
  #find(bytes: Uint8Array, bounds: KeyBounds): number {
    const hashes = this.#hashes;
    murmur3(bytes, bounds, { seed: this.#seed, into: this.#hash });
    const a = this.#hash[0] as number;
    const b = this.#hash[1] as number;
    const c = this.#hash[2] as number;
    const d = this.#hash[3] as number;
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

const C1 = 0x239b961b;
const C2 = 0xab0e9789;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93;

const rotate = (word: number, by: number): number => (word << by) | (word >>> (32 - by));

function finalMix(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

export function murmur3(
  bytes: Uint8Array,
  { keyStart, keyLength }: KeyBounds,
  { seed, into }: { seed: number; into: Uint32Array },
): void {
  let h1 = seed;
  let h2 = seed;
  let h3 = seed;
  let h4 = seed;
  const end = keyStart + keyLength;
  const word = (at: number): number => wordAt(bytes, at, end);
  let at = keyStart;
  for (; at + 16 <= end; at += 16) {
    h1 ^= Math.imul(rotate(Math.imul(word(at), C1), 15), C2);
    h1 = (Math.imul((rotate(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0;
    h2 ^= Math.imul(rotate(Math.imul(word(at + 4), C2), 16), C3);
    h2 = (Math.imul((rotate(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0;
    h3 ^= Math.imul(rotate(Math.imul(word(at + 8), C3), 17), C4);
    h3 = (Math.imul((rotate(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0;
    h4 ^= Math.imul(rotate(Math.imul(word(at + 12), C4), 18), C1);
    h4 = (Math.imul((rotate(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0;
  }
  // A word of zeros changes nothing, so the tail needs no cases.
  h4 ^= Math.imul(rotate(Math.imul(word(at + 12), C4), 18), C1);
  h3 ^= Math.imul(rotate(Math.imul(word(at + 8), C3), 17), C4);
  h2 ^= Math.imul(rotate(Math.imul(word(at + 4), C2), 16), C3);
  h1 ^= Math.imul(rotate(Math.imul(word(at), C1), 15), C2);
  h1 ^= keyLength;
  h2 ^= keyLength;
  h3 ^= keyLength;
  h4 ^= keyLength;
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = (h2 + h1) | 0;
  h3 = (h3 + h1) | 0;
  h4 = (h4 + h1) | 0;
  h1 = finalMix(h1);
  h2 = finalMix(h2);
  h3 = finalMix(h3);
  h4 = finalMix(h4);
  h1 = (h1 + h2 + h3 + h4) | 0;
  into[0] = h1;
  into[1] = (h2 + h1) | 0;
  into[2] = (h3 + h1) | 0;
  into[3] = (h4 + h1) | 0;
}

/** Four bytes as a little-endian word; what lies at or beyond `end` counts as 0. */
function wordAt(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end) {
    return (
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    );
  }
  let word = 0;
  for (let last = end - 1; last >= at; last--) word = (word << 8) | (bytes[last] as number);
  return word;
}
