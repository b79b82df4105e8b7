/**
 * DuckDB's BIT: how many bits of padding, then the bits, the first the highest, after that much padding
 * of ones.
 */
export function bitsBlob(bits: string): Buffer {
  const padding = (8 - (bits.length % 8)) % 8;
  const padded = '1'.repeat(padding) + bits;
  const blob = Buffer.alloc(1 + padded.length / 8);
  blob[0] = padding;
  for (let at = 0; at < padded.length; at += 8) {
    blob[1 + at / 8] = parseInt(padded.slice(at, at + 8), 2);
  }
  return blob;
}

/** What varbit without a length declares. */
const UNBOUNDED = 2_147_483_647;

/** The bits of Debezium's Bits, whose last byte is the first; it leaves zeros at the beginning out. */
export function bitsText(bytes: Uint8Array, length: number): string {
  let bits = '';
  for (let at = bytes.length - 1; at >= 0; at--) {
    bits += (bytes[at] as number).toString(2).padStart(8, '0');
  }
  if (length === UNBOUNDED) return bits;
  return bits.length > length ? bits.slice(bits.length - length) : bits.padStart(length, '0');
}
