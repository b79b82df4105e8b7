import { MillraceError } from '../../errors.ts';
import type { ByteReader } from '../../schemas/byte-reader.ts';
import type { FixedVector } from './vector.ts';

/** Value of a hexadecimal digit by its ASCII code; 255 for what is none. */
const HEX = new Uint8Array(256).fill(255);
for (let digit = 0; digit < 16; digit++) {
  const code = digit.toString(16);
  HEX[code.charCodeAt(0)] = digit;
  HEX[code.toUpperCase().charCodeAt(0)] = digit;
}

/** Where the eight-digit groups of a UUID's text begin, the dashes counted, most significant first. */
const GROUPS = [
  [0, 1, 2, 3, 4, 5, 6, 7],
  [9, 10, 11, 12, 14, 15, 16, 17],
  [19, 20, 21, 22, 24, 25, 26, 27],
  [28, 29, 30, 31, 32, 33, 34, 35],
] as const;

/** UUID text into DuckDB's UUID: a 128-bit number with the highest bit flipped, low word first. */
export function uuidInto(vector: FixedVector): (reader: ByteReader, row: number) => void {
  return (reader, row) => {
    const size = reader.long();
    const { bytes, position: start } = reader;
    reader.position = start + size;
    let wrong = size === 36 ? 0 : 0xf0;
    for (let group = 0; group < 4; group++) {
      let word = 0;
      for (const at of GROUPS[group] as (typeof GROUPS)[number]) {
        const digit = HEX[bytes[start + at] as number] as number;
        wrong |= digit & 0xf0;
        word = (word << 4) | (digit & 0xf);
      }
      vector.i32[row * 4 + 3 - group] = group === 0 ? word ^ 0x8000_0000 : word;
    }
    if (wrong !== 0)
      throw new MillraceError(
        'RECORD_MALFORMED',
        'a UUID is not 36 characters of hexadecimal digits and dashes',
      );
  };
}
