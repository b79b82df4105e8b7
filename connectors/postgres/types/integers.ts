import type { ByteWriter } from '../../../schemas/byte-writer.ts';
import { expectSize, int16At, int32At, malformed, textOf } from './type-codec.ts';
import type { Cell, TypeCodec } from './type-codec.ts';

const INT64_MAX = 0x7fffffffffffffffn;
const INT64_MIN = -0x8000000000000000n;

export const int2Codec: TypeCodec = {
  semantic: { kind: 'int16' },
  binary(cell, out) {
    expectSize(cell, 2);
    out.long(int16At(cell.bytes, cell.start));
  },
  text: writeInteger,
};

export const int4Codec: TypeCodec = {
  semantic: { kind: 'int32' },
  binary(cell, out) {
    expectSize(cell, 4);
    out.long(int32At(cell.bytes, cell.start));
  },
  text: writeInteger,
};

export const int8Codec: TypeCodec = {
  semantic: { kind: 'int64' },
  binary(cell, out) {
    expectSize(cell, 8);
    out.longWords(int32At(cell.bytes, cell.start), int32At(cell.bytes, cell.start + 4));
  },
  text: writeInteger,
};

/** Unsigned 32 bits; Debezium carries it as int64. */
export const oidCodec: TypeCodec = {
  semantic: { kind: 'int64' },
  binary(cell, out) {
    expectSize(cell, 4);
    out.long(int32At(cell.bytes, cell.start) >>> 0);
  },
  text: writeInteger,
};

export const boolCodec: TypeCodec = {
  semantic: { kind: 'boolean' },
  binary(cell, out) {
    expectSize(cell, 1);
    out.byte(cell.bytes[cell.start] === 0 ? 0 : 1);
  },
  text(cell, out) {
    const letter = cell.bytes[cell.start];
    if (cell.end - cell.start !== 1 || (letter !== 0x74 && letter !== 0x66)) {
      throw malformed('`t` or `f`');
    }
    out.byte(letter === 0x74 ? 1 : 0);
  },
};

function writeInteger(cell: Cell, out: ByteWriter): void {
  const { bytes, start, end } = cell;
  const negative = bytes[start] === 0x2d;
  let at = negative ? start + 1 : start;
  if (at === end) throw malformed('an integer');
  if (end - at > 15) {
    writeLongInteger(cell, out);
    return;
  }
  let value = 0;
  for (; at < end; at++) {
    const digit = (bytes[at] as number) - 0x30;
    if (digit < 0 || digit > 9) throw malformed('an integer');
    value = value * 10 + digit;
  }
  out.long(negative && value !== 0 ? -value : value);
}

function writeLongInteger(cell: Cell, out: ByteWriter): void {
  const text = textOf(cell);
  if (!/^-?\d{16,19}$/.test(text)) throw malformed('an integer of at most 64 bits');
  const value = BigInt(text);
  if (value > INT64_MAX || value < INT64_MIN) throw malformed('an integer of at most 64 bits');
  out.bigint(value);
}
