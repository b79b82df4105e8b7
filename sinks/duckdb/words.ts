import type { ByteReader } from '../../schemas/byte-reader.ts';

/**
 * 64-bit numbers as two 32-bit words, low word first, so that they go from a topic's bytes into a vector
 * without a bigint in between.
 */

/** Reads an Avro `long` into `words[at]` and `words[at + 1]`. */
export function readWords(reader: ByteReader, words: Int32Array, at: number): void {
  const { bytes } = reader;
  let position = reader.position;
  let byte = bytes[position++] as number;
  let low = byte & 0x7f;
  for (let shift = 7; byte > 0x7f && shift < 28; shift += 7) {
    byte = bytes[position++] as number;
    low |= (byte & 0x7f) << shift;
  }
  if (byte <= 0x7f) {
    reader.position = position;
    const value = (low >>> 1) ^ -(low & 1);
    words[at] = value;
    words[at + 1] = value >> 31;
    return;
  }
  let middle = 0;
  for (let shift = 0; byte > 0x7f && shift < 28; shift += 7) {
    byte = bytes[position++] as number;
    middle |= (byte & 0x7f) << shift;
  }
  let top = 0;
  for (let shift = 0; byte > 0x7f && shift < 14; shift += 7) {
    byte = bytes[position++] as number;
    top |= (byte & 0x7f) << shift;
  }
  reader.position = position;
  const unsignedLow = low | (middle << 28);
  const unsignedHigh = (middle >>> 4) | (top << 24);
  const sign = -(low & 1);
  words[at] = ((unsignedLow >>> 1) | (unsignedHigh << 31)) ^ sign;
  words[at + 1] = (unsignedHigh >>> 1) ^ sign;
}

/** Writes an integer with |value| < 2^53. */
export function writeWords(value: number, words: Int32Array, at: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  words[at] = (value - high * 0x1_0000_0000) | 0;
  words[at + 1] = high;
}

/** Writes any 64-bit number. */
export function writeBigWords(value: bigint, words: Int32Array, at: number): void {
  words[at] = Number(BigInt.asIntN(32, value));
  words[at + 1] = Number(BigInt.asIntN(32, value >> 32n));
}

/** The words as a number; exact where |value| < 2^53. */
export function wordsNumber(words: Int32Array, at: number): number {
  return (words[at + 1] as number) * 0x1_0000_0000 + ((words[at] as number) >>> 0);
}

/** The words as the 64-bit number that they are. */
export function wordsBigint(words: Int32Array, at: number): bigint {
  return (BigInt(words[at + 1] as number) << 32n) | BigInt((words[at] as number) >>> 0);
}
