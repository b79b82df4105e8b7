import type { ByteWriter } from '../../../schemas/byte-writer.ts';

/** Minimal big-endian two's complement, for |value| < 2^53. */
export function writeInteger(value: number, out: ByteWriter): void {
  let size = 1;
  for (let bound = 128; value >= bound || value < -bound; bound *= 256) size++;
  out.reserve(9);
  const { bytes } = out;
  const at = out.position;
  bytes[at] = size << 1;
  const high = Math.floor(value / 0x1_0000_0000);
  const low = value | 0;
  for (let i = 0; i < size; i++) {
    const shift = i * 8;
    bytes[at + size - i] = shift < 32 ? low >>> shift : high >> (shift - 32);
  }
  out.position = at + 1 + size;
}

function twosComplement(value: bigint): Buffer {
  const hex = (value < 0n ? -value - 1n : value).toString(16);
  const bits = hex.length * 4 - (Math.clz32(parseInt(hex.charAt(0), 16)) - 28);
  const size = (bits >> 3) + 1;
  return Buffer.from(
    BigInt.asUintN(size * 8, value)
      .toString(16)
      .padStart(size * 2, '0'),
    'hex',
  );
}

/** The same for any integer. */
export function writeBigInteger(value: bigint, out: ByteWriter): void {
  out.slice(twosComplement(value));
}
