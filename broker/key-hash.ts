/**
 * MurmurHash3 x86_128 of a key payload, left in four fields so that a hot path makes no object. At
 * 128 bits the chance that any two of 10 million keys collide is below 10^-24.
 *
 * Source: Austin Appleby's MurmurHash3.cpp (smhasher), `MurmurHash3_x86_128`.
 */
export class KeyHash {
  a = 0;
  b = 0;
  c = 0;
  d = 0;
  readonly #seed: number;

  constructor(seed = 0) {
    this.#seed = seed;
  }

  /** Hashes a record's key. A Confluent header is left out: a new schema id makes no new key. */
  ofKey(bytes: Buffer, start: number, length: number): this {
    const payload = length >= 5 && bytes[start] === 0 ? 5 : 0;
    return this.of(bytes, start + payload, start + length);
  }

  of(bytes: Buffer, start: number, end: number): this {
    const seed = this.#seed;
    let a = seed;
    let b = seed;
    let c = seed;
    let d = seed;
    let at = start;
    for (; end - at >= 16; at += 16) {
      a = (Math.imul(rotate(a ^ mixA(word(bytes, at)), 19) + b, 5) + 0x561ccd1b) | 0;
      b = (Math.imul(rotate(b ^ mixB(word(bytes, at + 4)), 17) + c, 5) + 0x0bcaa747) | 0;
      c = (Math.imul(rotate(c ^ mixC(word(bytes, at + 8)), 15) + d, 5) + 0x96cd1c35) | 0;
      d = (Math.imul(rotate(d ^ mixD(word(bytes, at + 12)), 13) + a, 5) + 0x32ac3b17) | 0;
    }
    const left = end - at;
    if (left > 12) d ^= mixD(tail(bytes, at + 12, end));
    if (left > 8) c ^= mixC(tail(bytes, at + 8, end));
    if (left > 4) b ^= mixB(tail(bytes, at + 4, end));
    if (left > 0) a ^= mixA(tail(bytes, at, end));
    const length = end - start;
    const lanes = ((a ^ length) + (b ^ length) + (c ^ length) + (d ^ length)) | 0;
    const first = final(lanes);
    const second = final(lanes + (b ^ length));
    const third = final(lanes + (c ^ length));
    const fourth = final(lanes + (d ^ length));
    const sum = (first + second + third + fourth) | 0;
    this.a = sum;
    this.b = (sum + second) | 0;
    this.c = (sum + third) | 0;
    this.d = (sum + fourth) | 0;
    return this;
  }
}

function word(bytes: Buffer, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

/** Up to four bytes, as a little-endian word. */
function tail(bytes: Buffer, at: number, end: number): number {
  let found = 0;
  for (let index = Math.min(end, at + 4) - 1; index >= at; index--) {
    found = (found << 8) | (bytes[index] as number);
  }
  return found;
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

const C1 = 0x239b961b;
const C2 = 0xab0e9789;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93;

const mixA = (word: number): number => Math.imul(rotate(Math.imul(word, C1), 15), C2);
const mixB = (word: number): number => Math.imul(rotate(Math.imul(word, C2), 16), C3);
const mixC = (word: number): number => Math.imul(rotate(Math.imul(word, C3), 17), C4);
const mixD = (word: number): number => Math.imul(rotate(Math.imul(word, C4), 18), C1);

function final(value: number): number {
  let mixed = value | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
