import { expectSize, malformed, textOf } from './type-codec.ts';
import type { Cell, TypeCodec } from './type-codec.ts';

export const float4Codec: TypeCodec = {
  semantic: { kind: 'float32' },
  binary(cell, out) {
    expectSize(cell, 4);
    out.float(oneNaN(cell.bytes.readFloatBE(cell.start)));
  },
  text(cell, out) {
    out.float(parse(cell));
  },
};

export const float8Codec: TypeCodec = {
  semantic: { kind: 'float64' },
  binary(cell, out) {
    expectSize(cell, 8);
    out.double(oneNaN(cell.bytes.readDoubleBE(cell.start)));
  },
  text(cell, out) {
    out.double(parse(cell));
  },
};

/** The server may hold a NaN with its sign set (`inf - inf` on x86); its text does not tell them apart. */
function oneNaN(value: number): number {
  return Number.isNaN(value) ? NaN : value;
}

function parse(cell: Cell): number {
  const text = textOf(cell);
  const value = Number(text);
  if (text === '' || (Number.isNaN(value) && text !== 'NaN')) throw malformed('a number');
  return value;
}
