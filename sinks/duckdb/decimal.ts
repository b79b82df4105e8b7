import { MillraceError } from '../../errors.ts';
import type { ByteReader } from '../../schemas/byte-reader.ts';
import { writeBigWords } from './words.ts';
import { decimalBytes, type FixedVector } from './vector.ts';
import { decimalShape } from './column-type.ts';

/** Two's complement bytes, big-endian, of any length. */
export function bigintOf(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  const unsigned = BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  return BigInt.asIntN(bytes.length * 8, unsigned);
}

/** Plain decimal text, all digits of the scale kept: unscaled 1200, scale 2 is `12.00`. */
export function decimalText(unscaled: bigint, scale: number): string {
  const negative = unscaled < 0n;
  const digits = String(negative ? -unscaled : unscaled);
  const sign = negative ? '-' : '';
  if (scale <= 0) return unscaled === 0n ? '0' : sign + digits + '0'.repeat(-scale);
  const padded = digits.padStart(scale + 1, '0');
  return `${sign}${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
}

/**
 * Reads unscaled bytes into a DECIMAL vector. Throws `VALUE_UNSUPPORTED` for a value with more digits
 * than the type has: DuckDB does not look at what is in a vector.
 */
export function decimalInto(
  vector: FixedVector,
  type: string,
  scale: number,
): (reader: ByteReader, row: number) => void {
  const shape = decimalShape(type);
  if (shape === null) throw new Error(`${type} is no DECIMAL`);
  const { width } = shape;
  const bytesWide = decimalBytes(width);
  const put = decimalPut(vector, type, scale);
  // Up to here doubles are exact and bigints are not needed.
  const limitExact = width <= 15 && shape.scale === scale ? 10 ** width : 0;

  return (reader, row) => {
    const size = reader.long();
    const start = reader.position;
    const { bytes } = reader;
    reader.position = start + size;
    if (limitExact > 0 && size > 0 && size <= 6) {
      // At most 48 bits: one double holds them.
      let value = ((bytes[start] as number) << 24) >> 24;
      for (let at = 1; at < size; at++) value = value * 256 + (bytes[start + at] as number);
      if (value < limitExact && value > -limitExact)
        return putSmall(vector, bytesWide, { row, value });
    }
    put(bigintOf(bytes.subarray(start, start + size)), row);
  };
}

/** Writes unscaled numbers of a scale into a DECIMAL vector. Throws `VALUE_UNSUPPORTED` as {@link decimalInto}. */
export function decimalPut(
  vector: FixedVector,
  type: string,
  scale: number,
): (unscaled: bigint, row: number) => void {
  const shape = decimalShape(type);
  if (shape === null) throw new Error(`${type} is no DECIMAL`);
  const bytesWide = decimalBytes(shape.width);
  const factor = 10n ** BigInt(shape.scale - scale);
  const limit = 10n ** BigInt(shape.width);
  return (unscaled, row) => {
    const value = unscaled * factor;
    if (value >= limit || value <= -limit) {
      throw new MillraceError('VALUE_UNSUPPORTED', `a decimal has more digits than ${type} holds`);
    }
    if (bytesWide === 2) vector.i16[row] = Number(value);
    else if (bytesWide === 4) vector.i32[row] = Number(value);
    else writeBigWords(value, vector.i32, row * (bytesWide / 4));
    if (bytesWide === 16) writeBigWords(value >> 64n, vector.i32, row * 4 + 2);
  };
}

function putSmall(
  vector: FixedVector,
  bytesWide: 2 | 4 | 8 | 16,
  { row, value }: { row: number; value: number },
): void {
  if (bytesWide === 2) vector.i16[row] = value;
  else if (bytesWide === 4) vector.i32[row] = value;
  else {
    // Below 16 digits the width is at most 8 bytes.
    const high = Math.floor(value / 0x1_0000_0000);
    vector.i32[row * 2] = (value - high * 0x1_0000_0000) | 0;
    vector.i32[row * 2 + 1] = high;
  }
}
