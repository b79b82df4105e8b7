import type { KeyHash } from '../../broker/key-hash.ts';

/** Where a row is. `segment` is a segment of the row log, or one of the values below. */
export interface RowPlace {
  segment: number;
  offset: number;
  length: number;
}

/**
 * No row: the key was deleted. `offset` then says when, in seconds since 1970, and `length` is a number
 * of the owner's.
 */
export const TOMBSTONE = -1;
const FREE = -2;

// An entry: hash words b, c, d, version high, version low, then the place of the row.
const ENTRY_WORDS_BITS = 3;
const CHUNK_BITS = 13;
const CHUNK_FIRST_BITS = 5;
const CHUNK_MASK = (1 << CHUNK_BITS) - 1;
const B = 0;
const C = 1;
const D = 2;
const HIGH = 3;
const LOW = 4;
const SEGMENT = 5;
const OFFSET = 6;
const LENGTH = 7;

// A part of the index: its depth, keys in it, slots - 1, then slots of two words: hash word a, entry + 1.
const DEPTH = 0;
const USED = 1;
const MASK = 2;
const SLOTS = 3;
const PART_SLOTS_MIN = 64;
const PART_SLOTS_MAX = 16_384;

/**
 * The keys of a partition: 128 bits of hash → version, and where the newest row is. Everything is in
 * typed arrays: 32 bytes an entry, and 8 bytes a slot of the index at 35 to 70 % load.
 *
 * Entries are in chunks and never change their number, which is their name. The index is cut into
 * parts by the leading bits of the hash (extendible hashing): a full part is split in two, which takes
 * well under a millisecond whatever the number of keys, and never needs room for a second index.
 *
 * A look-up waits for memory twice, and that is most of what a change costs with a million keys. Smaller
 * chunks and parts made it worse (more to find before the memory in question); touching the slots of
 * the next 64 keys beforehand gained nothing that could be measured.
 */
export class KeyTable {
  /** Seconds that have passed: set by the owner at the start of each call, never back. */
  now = 0;
  keys = 0;
  /** Entries ever used: their numbers are below it. */
  entries = 0;
  readonly #retention: number;
  readonly #chunks: Int32Array[] = [];
  /** 2^depth names of parts; a part of a lower depth has several. */
  #parts: Int32Array[] = [newPart(0, PART_SLOTS_MIN)];
  #depth = 0;
  #free = -1;
  /** Seconds since 1970; no tombstone is older. */
  #oldestTombstone = Infinity;

  /** Tombstones older than the retention may be forgotten when room is needed. */
  constructor(tombstoneRetentionMs: number) {
    this.#retention = Math.ceil(tombstoneRetentionMs / 1000);
  }

  /** Bytes held, for tests and metrics. */
  get bytes(): number {
    const index = new Set(this.#parts).values().reduce((sum, part) => sum + part.byteLength, 0);
    return index + this.#chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  }

  /** The entry of a key, -1 if there is none. */
  find(hash: KeyHash): number {
    const part = this.#partOf(hash.a);
    const mask = part[MASK] as number;
    for (let slot = hash.a & mask; ; slot = (slot + 1) & mask) {
      const entry = (part[SLOTS + 2 * slot + 1] as number) - 1;
      if (entry < 0) return -1;
      if (part[SLOTS + 2 * slot] === hash.a && this.#has(entry, hash)) return entry;
    }
  }

  /** Adds a key that {@link find} did not find. Its version and row are to be set next. */
  add(hash: KeyHash): number {
    let part = this.#partOf(hash.a);
    while ((part[USED] as number) * 10 >= ((part[MASK] as number) + 1) * 7) {
      this.#makeRoom(part);
      part = this.#partOf(hash.a);
    }
    const entry = this.#newEntry();
    const chunk = this.#chunks[entry >>> CHUNK_BITS] as Int32Array;
    const at = (entry & CHUNK_MASK) << ENTRY_WORDS_BITS;
    chunk[at + B] = hash.b;
    chunk[at + C] = hash.c;
    chunk[at + D] = hash.d;
    put(part, hash.a, entry);
    this.keys++;
    return entry;
  }

  /** Above 0 if the version given is newer than the entry's, 0 if equal, below 0 if older. */
  compare(entry: number, high: number, low: number): number {
    const chunk = this.#chunks[entry >>> CHUNK_BITS] as Int32Array;
    const at = (entry & CHUNK_MASK) << ENTRY_WORDS_BITS;
    const byHigh = high - (chunk[at + HIGH] as number);
    return byHigh === 0 ? (low >>> 0) - ((chunk[at + LOW] as number) >>> 0) : byHigh;
  }

  setVersion(entry: number, high: number, low: number): void {
    const chunk = this.#chunks[entry >>> CHUNK_BITS] as Int32Array;
    const at = (entry & CHUNK_MASK) << ENTRY_WORDS_BITS;
    chunk[at + HIGH] = high;
    chunk[at + LOW] = low;
  }

  /** A segment of the row log, {@link TOMBSTONE}, or below it for an entry that is free. */
  segment(entry: number): number {
    const chunk = this.#chunks[entry >>> CHUNK_BITS] as Int32Array;
    return chunk[((entry & CHUNK_MASK) << ENTRY_WORDS_BITS) + SEGMENT] as number;
  }

  row(entry: number, into: RowPlace): void {
    const chunk = this.#chunks[entry >>> CHUNK_BITS] as Int32Array;
    const at = (entry & CHUNK_MASK) << ENTRY_WORDS_BITS;
    into.segment = chunk[at + SEGMENT] as number;
    into.offset = (chunk[at + OFFSET] as number) >>> 0;
    into.length = chunk[at + LENGTH] as number;
  }

  setRow(entry: number, place: RowPlace): void {
    const chunk = this.#chunks[entry >>> CHUNK_BITS] as Int32Array;
    const at = (entry & CHUNK_MASK) << ENTRY_WORDS_BITS;
    chunk[at + SEGMENT] = place.segment;
    chunk[at + OFFSET] = place.offset;
    chunk[at + LENGTH] = place.length;
  }

  setTombstone(entry: number, length: number): void {
    const chunk = this.#chunks[entry >>> CHUNK_BITS] as Int32Array;
    const at = (entry & CHUNK_MASK) << ENTRY_WORDS_BITS;
    this.#oldestTombstone = Math.min(this.#oldestTombstone, this.now);
    chunk[at + SEGMENT] = TOMBSTONE;
    chunk[at + OFFSET] = this.now;
    chunk[at + LENGTH] = length;
  }

  #partOf(a: number): Int32Array {
    // Two shifts, because one by 32 would be none.
    return this.#parts[(a >>> 1) >>> (31 - this.#depth)] as Int32Array;
  }

  #has(entry: number, hash: KeyHash): boolean {
    const chunk = this.#chunks[entry >>> CHUNK_BITS] as Int32Array;
    const at = (entry & CHUNK_MASK) << ENTRY_WORDS_BITS;
    return chunk[at + B] === hash.b && chunk[at + C] === hash.c && chunk[at + D] === hash.d;
  }

  #newEntry(): number {
    const free = this.#free;
    if (free >= 0) {
      const chunk = this.#chunks[free >>> CHUNK_BITS] as Int32Array;
      this.#free = chunk[((free & CHUNK_MASK) << ENTRY_WORDS_BITS) + OFFSET] as number;
      return free;
    }
    const at = (this.entries & CHUNK_MASK) << ENTRY_WORDS_BITS;
    const chunk = this.#chunks[this.entries >>> CHUNK_BITS];
    if (chunk === undefined) {
      // A small table stays small: only the first chunk begins below its full size.
      const bits = this.entries === 0 ? CHUNK_FIRST_BITS : CHUNK_BITS;
      this.#chunks.push(new Int32Array(1 << (bits + ENTRY_WORDS_BITS)));
    } else if (at === chunk.length) {
      this.#chunks[0] = new Int32Array(2 * at);
      this.#chunks[0].set(chunk);
    }
    return this.entries++;
  }

  /** Forgets old tombstones of a full part; if that is not enough, makes it larger or splits it. */
  #makeRoom(part: Int32Array): void {
    const slots = (part[MASK] as number) + 1;
    const depth = part[DEPTH] as number;
    let kept = part;
    if (this.#oldestTombstone + this.#retention < this.now) {
      kept = newPart(depth, slots);
      this.#keepYoung(part, kept);
      if ((kept[USED] as number) * 2 < slots) return this.#replace(part, kept, kept);
    }
    if (slots < PART_SLOTS_MAX) {
      const larger = newPart(depth, slots * 2);
      move(kept, larger, larger);
      return this.#replace(part, larger, larger);
    }
    if (depth === this.#depth) {
      this.#parts = this.#parts.flatMap((named) => [named, named]);
      this.#depth++;
    }
    const zero = newPart(depth + 1, slots);
    const one = newPart(depth + 1, slots);
    move(kept, zero, one);
    this.#replace(part, zero, one);
  }

  /** Moves all entries but tombstones past their retention. */
  #keepYoung(from: Int32Array, to: Int32Array): void {
    for (let at = SLOTS; at < from.length; at += 2) {
      const entry = (from[at + 1] as number) - 1;
      if (entry >= 0 && !this.#forget(entry)) put(to, from[at] as number, entry);
    }
  }

  /** Gives the names of a part to the two that follow it. */
  #replace(part: Int32Array, zero: Int32Array, one: Int32Array): void {
    const first = this.#parts.indexOf(part);
    const names = 1 << (this.#depth - (part[DEPTH] as number));
    this.#parts.fill(zero, first, first + names / 2);
    this.#parts.fill(one, first + names / 2, first + names);
    if (names === 1) this.#parts[first] = zero;
  }

  #forget(entry: number): boolean {
    const chunk = this.#chunks[entry >>> CHUNK_BITS] as Int32Array;
    const at = (entry & CHUNK_MASK) << ENTRY_WORDS_BITS;
    if (chunk[at + SEGMENT] !== TOMBSTONE) return false;
    if (((chunk[at + OFFSET] as number) >>> 0) + this.#retention >= this.now) return false;
    chunk[at + SEGMENT] = FREE;
    chunk[at + OFFSET] = this.#free;
    this.#free = entry;
    this.keys--;
    return true;
  }
}

function newPart(depth: number, slots: number): Int32Array {
  const part = new Int32Array(SLOTS + 2 * slots);
  part[DEPTH] = depth;
  part[MASK] = slots - 1;
  return part;
}

/** Moves all entries to two parts, by the bit of the hash that follows those the part stood for. */
function move(from: Int32Array, zero: Int32Array, one: Int32Array): void {
  const shift = 31 - (from[DEPTH] as number);
  for (let at = SLOTS; at < from.length; at += 2) {
    const entry = (from[at + 1] as number) - 1;
    const a = from[at] as number;
    if (entry >= 0) put((a >>> shift) & 1 ? one : zero, a, entry);
  }
}

function put(part: Int32Array, a: number, entry: number): void {
  const mask = part[MASK] as number;
  let slot = a & mask;
  while (part[SLOTS + 2 * slot + 1] !== 0) slot = (slot + 1) & mask;
  part[SLOTS + 2 * slot] = a;
  part[SLOTS + 2 * slot + 1] = entry + 1;
  part[USED] = (part[USED] as number) + 1;
}
