import { float4Text } from './numbers.ts';
import { view, type Output } from './output.ts';
import type { Cell } from '../type-codec.ts';

/*
 * The types of pgvector, in the binary forms of its send functions, big-endian:
 *
 *   vector      u16 dimensions, u16 unused, f32 each
 *   halfvec     u16 dimensions, u16 unused, f16 each
 *   sparsevec   i32 dimensions, i32 count, i32 unused, i32 place each from 0, f32 each
 */

/** The numbers of a vector. */
export function vectorNumbers(cell: Cell): number[] {
  const data = view(cell);
  return Array.from({ length: data.getUint16(0) }, (_, at) => data.getFloat32(4 + 4 * at));
}

/** The numbers of a halfvec; single precision holds each. */
export function halfNumbers(cell: Cell): number[] {
  const data = view(cell);
  return Array.from({ length: data.getUint16(0) }, (_, at) => half(data.getUint16(4 + 2 * at)));
}

export interface Sparse {
  readonly dimensions: number;
  /** Place from 1, and what is there. */
  readonly entries: readonly (readonly [place: number, value: number])[];
}

export function sparseNumbers(cell: Cell): Sparse {
  const data = view(cell);
  const count = data.getInt32(4);
  const entries = Array.from(
    { length: count },
    (_, at) => [data.getInt32(12 + 4 * at) + 1, data.getFloat32(12 + 4 * (count + at))] as const,
  );
  return { dimensions: data.getInt32(0), entries };
}

export const vectorOutput: Output = (cell) => `[${vectorNumbers(cell).map(float4Text).join(',')}]`;

export const halfvecOutput: Output = (cell) => `[${halfNumbers(cell).map(float4Text).join(',')}]`;

export const sparsevecOutput: Output = (cell) => {
  const { dimensions, entries } = sparseNumbers(cell);
  const shown = entries.map(([place, value]) => `${place}:${float4Text(value)}`);
  return `{${shown.join(',')}}/${dimensions}`;
};

/** IEEE 754 binary16: sign, 5 bits of exponent, 10 of fraction. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0
    ? sign * fraction * 2 ** -24
    : sign * (1024 + fraction) * 2 ** (exponent - 25);
}
