import type { Cell } from '../type-codec.ts';

/**
 * The text that Postgres' output function gives for a value in binary form, under `TEXT_SETTINGS`. For
 * types that travel as their text, and for single values that no semantic type can say: never for the
 * bulk of a table.
 */
export type Output = (cell: Cell) => string;

export function view({ bytes, start, end }: Cell): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset + start, end - start);
}

/** A cell inside another one. */
export function part({ bytes }: Cell, start: number, end: number): Cell {
  return { bytes, start, end };
}

export const two = (value: number): string => String(value).padStart(2, '0');
