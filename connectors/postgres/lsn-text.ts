import type { ByteWriter } from '../../schemas/byte-writer.ts';

/** Decimal digits of the largest LSN. */
const DIGITS_MAX = 20;

/** The decimal text of an LSN, made of its two words without an object. */
export class LsnText {
  readonly #digits = new Uint8Array(DIGITS_MAX);
  #at = DIGITS_MAX;

  get size(): number {
    return DIGITS_MAX - this.#at;
  }

  set(high: number, low: number): void {
    const unsigned = high >>> 0;
    this.#at = DIGITS_MAX;
    if (unsigned >= 0x20_0000) {
      const text = String((BigInt(unsigned) << 32n) | BigInt(low >>> 0));
      this.#at -= text.length;
      for (let i = 0; i < text.length; i++) this.#digits[this.#at + i] = text.charCodeAt(i);
      return;
    }
    // Below 2^53 there are two halves of at most 8 digits, each a small integer.
    const value = unsigned * 0x1_0000_0000 + (low >>> 0);
    const head = Math.floor(value / 100_000_000);
    this.#put(value - head * 100_000_000, head === 0 ? 1 : 8);
    if (head > 0) this.#put(head, 1);
  }

  /** Puts a number before what is there, with at least so many digits. */
  #put(value: number, least: number): void {
    let rest = value;
    for (let i = 0; i < least || rest > 0; i++) {
      const next = (rest / 10) | 0;
      this.#digits[--this.#at] = 0x30 + rest - next * 10;
      rest = next;
    }
  }

  write(out: ByteWriter): void {
    out.raw(this.#digits, this.#at, DIGITS_MAX);
  }
}
