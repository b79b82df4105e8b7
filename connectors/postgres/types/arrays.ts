import { ByteWriter } from '../../../schemas/byte-writer.ts';
import type { SemanticType } from '../../../schemas/semantic.ts';
import type { Output } from './output/output.ts';
import { EXACTNESS, inexact, int32At, malformed, sayInexact, utf8Of } from './type-codec.ts';
import type { Cell, TypeCodec } from './type-codec.ts';

export interface ArrayType {
  readonly element: TypeCodec;
  /** The array's own text. */
  readonly output: Output;
  /** As declared; Postgres does not hold values to it. */
  readonly dimensions: number;
  /** The element's `typdelim`. */
  readonly delimiter: string;
}

/**
 * Arrays with as many dimensions as declared; NULL elements are kept. A value with another number of
 * dimensions is a placeholder, one whose elements do not count from 1 is approximate: Avro has no bounds.
 *
 * Binary (array_send):
 *
 * ```
 * i32 dimensions   i32 1 if there are nulls   i32 element type
 * per dimension: i32 size   i32 lower bound
 * per element: i32 length or -1, value
 * ```
 *
 * Text (array_out): `{{1,NULL},{"a \"quoted\" one",2}}`, before it `[0:1][1:2]=` if bounds are not from 1.
 */
export function arrayCodec(type: ArrayType): TypeCodec {
  let semantic: SemanticType = { kind: 'array', items: type.element.semantic };
  for (let left = type.dimensions - 1; left > 0; left--)
    semantic = { kind: 'array', items: semantic };
  // Of its own: an element may be an array, too, through a domain.
  const item: Cell = { bytes: Buffer.alloc(0), start: 0, end: 0 };
  const unescaped = new ByteWriter(64);
  return {
    semantic,
    binary: (cell, out) => new BinaryItems(type, cell, item).write(out),
    text: (cell, out) => new TextItems(type, cell, { item, unescaped }).write(out),
  };
}

/** Whether the element that was written at `at` is all there; one that is no value becomes null. */
function isExact(at: number, out: ByteWriter): boolean {
  const { exactness } = inexact;
  if (exactness === EXACTNESS.exact) return true;
  inexact.exactness = EXACTNESS.exact;
  if (exactness !== EXACTNESS.approximate) {
    out.position = at;
    out.byte(0);
  }
  return false;
}

class BinaryItems {
  readonly #type: ArrayType;
  readonly #cell: Cell;
  readonly #item: Cell;
  #at: number;
  #exact = true;

  constructor(type: ArrayType, from: Cell, item: Cell) {
    this.#type = type;
    this.#cell = from;
    this.#item = item;
    this.#at = from.start + 12;
  }

  write(out: ByteWriter): void {
    const { bytes, start, end } = this.#cell;
    const { dimensions, output } = this.#type;
    const actual = int32At(bytes, start);
    if (actual === 0) return out.byte(0);
    if (actual !== dimensions) {
      out.byte(0);
      return sayInexact(EXACTNESS.placeholder, output(this.#cell));
    }
    const sizes: number[] = [];
    for (let level = 0; level < dimensions; level++, this.#at += 8) {
      sizes.push(int32At(bytes, this.#at));
      if (int32At(bytes, this.#at + 4) !== 1) this.#exact = false;
    }
    this.#level(sizes, 0, out);
    if (this.#at !== end) throw malformed('a binary array');
    if (!this.#exact) sayInexact(EXACTNESS.approximate, output(this.#cell));
  }

  #level(sizes: readonly number[], depth: number, out: ByteWriter): void {
    const size = sizes[depth] as number;
    const { bytes } = this.#cell;
    const { element } = this.#type;
    out.long(size);
    for (let left = size; left > 0; left--) {
      if (depth < sizes.length - 1) {
        out.byte(2);
        this.#level(sizes, depth + 1, out);
        continue;
      }
      const length = int32At(bytes, this.#at);
      this.#at += 4;
      if (length < 0) out.byte(0);
      else {
        const item = this.#item;
        item.bytes = bytes;
        item.start = this.#at;
        item.end = this.#at += length;
        const at = out.position;
        out.byte(2);
        element.binary(item, out);
        if (!isExact(at, out)) this.#exact = false;
      }
    }
    if (size > 0) out.byte(0);
  }
}

const [OPEN, CLOSE, QUOTE, BACKSLASH, BRACKET, EQUALS] = [0x7b, 0x7d, 0x22, 0x5c, 0x5b, 0x3d];

class TextItems {
  readonly #type: ArrayType;
  readonly #cell: Cell;
  readonly #item: Cell;
  readonly #unescaped: ByteWriter;
  readonly #delimiter: number;
  #at: number;
  #exact = true;

  constructor(type: ArrayType, from: Cell, room: { item: Cell; unescaped: ByteWriter }) {
    this.#type = type;
    this.#cell = from;
    this.#item = room.item;
    this.#unescaped = room.unescaped;
    this.#at = from.start;
    this.#delimiter = type.delimiter.charCodeAt(0);
  }

  write(out: ByteWriter): void {
    const { bytes, start, end } = this.#cell;
    if (bytes[start] === BRACKET) {
      this.#exact = false;
      this.#at = bytes.indexOf(EQUALS, start) + 1;
    }
    if (bytes[this.#at] !== OPEN || bytes[end - 1] !== CLOSE) throw malformed('an array as `{…}`');
    if (end - this.#at === 2) return out.byte(0);
    let actual = 1;
    while (bytes[this.#at + actual] === OPEN) actual++;
    if (actual !== this.#type.dimensions) {
      out.byte(0);
      return sayInexact(EXACTNESS.placeholder, utf8Of(this.#cell));
    }
    this.#level(actual, out);
    if (this.#at !== end) throw malformed('an array as `{…}`');
    if (!this.#exact) sayInexact(EXACTNESS.approximate, utf8Of(this.#cell));
  }

  /** Blocks of one item each would do, but the binary form has one block: so the items are counted first. */
  #level(depth: number, out: ByteWriter): void {
    out.long(this.#count());
    const { bytes } = this.#cell;
    do {
      this.#at++;
      if (depth > 1) {
        out.byte(2);
        this.#level(depth - 1, out);
      } else this.#writeItem(out);
    } while (bytes[this.#at] === this.#delimiter);
    if (bytes[this.#at++] !== CLOSE) throw malformed('an array as `{…}`');
    out.byte(0);
  }

  /** How many items the level has whose brace we stand on. */
  #count(): number {
    const { bytes, end } = this.#cell;
    let count = 1;
    let depth = 0;
    for (let at = this.#at; at < end; at++) {
      const letter = bytes[at];
      if (letter === QUOTE) at = this.#quoteEnd(at) - 1;
      else if (letter === OPEN) depth++;
      else if (letter === CLOSE && --depth === 0) return count;
      else if (letter === this.#delimiter && depth === 1) count++;
    }
    throw malformed('an array as `{…}`');
  }

  #quoteEnd(start: number): number {
    const { bytes, end } = this.#cell;
    let at = start + 1;
    for (; at < end && bytes[at] !== QUOTE; at++) if (bytes[at] === BACKSLASH) at++;
    return at + 1;
  }

  #writeItem(out: ByteWriter): void {
    const { bytes, end } = this.#cell;
    const item = this.#item;
    const start = this.#at;
    if (bytes[start] === QUOTE) {
      this.#at = this.#quoteEnd(start);
      unescape(bytes.subarray(start + 1, this.#at - 1), this.#unescaped);
      item.bytes = this.#unescaped.bytes;
      item.start = 0;
      item.end = this.#unescaped.position;
    } else {
      while (this.#at < end && bytes[this.#at] !== this.#delimiter && bytes[this.#at] !== CLOSE) {
        this.#at++;
      }
      if (this.#at - start === 4 && bytes.toString('latin1', start, this.#at) === 'NULL') {
        return out.byte(0);
      }
      item.bytes = bytes;
      item.start = start;
      item.end = this.#at;
    }
    const at = out.position;
    out.byte(2);
    this.#type.element.text(item, out);
    if (!isExact(at, out)) this.#exact = false;
  }
}

function unescape(quoted: Buffer, into: ByteWriter): void {
  into.reset();
  into.reserve(quoted.length);
  for (let at = 0; at < quoted.length; at++) {
    if (quoted[at] === BACKSLASH) at++;
    into.bytes[into.position++] = quoted[at] as number;
  }
}
