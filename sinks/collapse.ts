import { murmur2 } from '../broker/partition.ts';
import type { RecordCursor } from '../broker/records.ts';
import { WIRE_HEADER_BYTES } from '../schemas/registry.ts';

/** One change of a key that lacks columns, or that such a change builds on. */
export interface ChainLink {
  readonly source: number;
  readonly start: number;
  readonly high: number;
  readonly low: number;
}

/**
 * The newest change of each key of a batch, found on the bytes of the key without decoding anything.
 *
 * An open-addressing table over typed arrays, reused from batch to batch. Where the newest change of a key
 * came without all its columns, the older ones it may build on are kept too, as a chain.
 */
export class Collapse {
  /** Number of keys. Key `slot` has its newest change at `starts[slot]` of source `sources[slot]`. */
  count = 0;
  sources = new Int32Array(1024);
  starts = new Int32Array(1024);
  highs = new Int32Array(1024);
  lows = new Uint32Array(1024);
  /** Changes that lack columns and what they build on, in the order of arrival, by slot. */
  readonly chains = new Map<number, ChainLink[]>();
  readonly #buffers: Buffer[] = [];
  #keyStarts = new Int32Array(1024);
  #keyEnds = new Int32Array(1024);
  #hashes = new Int32Array(1024);
  #table = new Int32Array(2048);
  #source = -1;

  /** Says which bytes the next offers come from; the number is what `sources` holds for them. */
  from(source: number, bytes: Buffer): void {
    this.#source = source;
    this.#buffers[source] = bytes;
  }

  /** Offers the change a cursor stands on. `partial`: it came without all its columns. */
  offer(cursor: RecordCursor, partial: boolean): void {
    const keyStart = cursor.keyStart + WIRE_HEADER_BYTES;
    const slot = this.#slotOf(cursor.bytes, keyStart, cursor.valueStart);
    if (slot === this.count) {
      this.#put(slot, cursor);
      this.count++;
      if (partial) this.chains.set(slot, [this.#link(slot)]);
      return;
    }
    const high = this.highs[slot] as number;
    const low = this.lows[slot] as number;
    const newer =
      cursor.versionHigh > high || (cursor.versionHigh === high && cursor.versionLow > low);
    if (newer || this.chains.size > 0) this.#meet(slot, cursor, { newer, partial });
  }

  reset(): void {
    this.count = 0;
    this.#table.fill(0);
    this.chains.clear();
    this.#buffers.length = 0;
  }

  #meet(slot: number, cursor: RecordCursor, how: { newer: boolean; partial: boolean }): void {
    const chain = this.chains.get(slot);
    if (!how.newer) {
      // Older than a change that lacks columns: it may be what that builds on.
      if (chain === undefined) return;
      const { versionHigh, versionLow } = cursor;
      if (chain.some((link) => link.high === versionHigh && link.low === versionLow)) return;
      const { start } = cursor;
      chain.push({ source: this.#source, start, high: versionHigh, low: versionLow });
      return;
    }
    const links = how.partial ? (chain ?? [this.#link(slot)]) : undefined;
    this.#put(slot, cursor);
    if (links === undefined) {
      this.chains.delete(slot);
      return;
    }
    links.push(this.#link(slot));
    this.chains.set(slot, links);
  }

  #link(slot: number): ChainLink {
    return {
      source: this.sources[slot] as number,
      start: this.starts[slot] as number,
      high: this.highs[slot] as number,
      low: this.lows[slot] as number,
    };
  }

  #put(slot: number, cursor: RecordCursor): void {
    this.sources[slot] = this.#source;
    this.starts[slot] = cursor.start;
    this.highs[slot] = cursor.versionHigh;
    this.lows[slot] = cursor.versionLow;
    this.#keyStarts[slot] = cursor.keyStart + WIRE_HEADER_BYTES;
    this.#keyEnds[slot] = cursor.valueStart;
  }

  /** The slot of a key; `count` if it has none yet, which is then entered for it. */
  #slotOf(bytes: Buffer, start: number, end: number): number {
    if (this.count * 2 >= this.#table.length) this.#grow();
    const hash = murmur2(bytes, start, end);
    const table = this.#table;
    const mask = table.length - 1;
    let at = hash & mask;
    for (;;) {
      const entry = table[at] as number;
      if (entry === 0) break;
      const slot = entry - 1;
      if (this.#hashes[slot] === hash && this.#sameKey(slot, bytes, { start, end })) return slot;
      at = (at + 1) & mask;
    }
    table[at] = this.count + 1;
    this.#hashes[this.count] = hash;
    return this.count;
  }

  #sameKey(slot: number, bytes: Buffer, { start, end }: { start: number; end: number }): boolean {
    const from = this.#keyStarts[slot] as number;
    if ((this.#keyEnds[slot] as number) - from !== end - start) return false;
    const other = this.#buffers[this.sources[slot] as number] as Buffer;
    const shift = from - start;
    for (let at = start; at < end; at++) if (bytes[at] !== other[at + shift]) return false;
    return true;
  }

  #grow(): void {
    const size = this.#table.length * 2;
    this.sources = grown(this.sources, new Int32Array(size / 2));
    this.starts = grown(this.starts, new Int32Array(size / 2));
    this.highs = grown(this.highs, new Int32Array(size / 2));
    this.lows = grown(this.lows, new Uint32Array(size / 2));
    this.#keyStarts = grown(this.#keyStarts, new Int32Array(size / 2));
    this.#keyEnds = grown(this.#keyEnds, new Int32Array(size / 2));
    this.#hashes = grown(this.#hashes, new Int32Array(size / 2));
    const table = new Int32Array(size);
    for (let slot = 0; slot < this.count; slot++) {
      let at = (this.#hashes[slot] as number) & (size - 1);
      while (table[at] !== 0) at = (at + 1) & (size - 1);
      table[at] = slot + 1;
    }
    this.#table = table;
  }
}

function grown<T extends Int32Array | Uint32Array>(old: T, into: T): T {
  into.set(old);
  return into;
}
