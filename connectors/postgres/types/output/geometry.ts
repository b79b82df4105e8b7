import { float8Text } from './numbers.ts';
import { view, type Output } from './output.ts';
import type { Cell } from '../type-codec.ts';

const float = (cell: Cell, at: number): string => float8Text(view(cell).getFloat64(at));
const pair = (cell: Cell, at: number): string => `(${float(cell, at)},${float(cell, at + 8)})`;

function pairs(cell: Cell, at: number, count: number): string {
  return Array.from({ length: count }, (_, index) => pair(cell, at + 16 * index)).join(',');
}

export const pointOutput: Output = (cell) => pair(cell, 0);
export const lineOutput: Output = (cell) =>
  `{${float(cell, 0)},${float(cell, 8)},${float(cell, 16)}}`;
export const lsegOutput: Output = (cell) => `[${pairs(cell, 0, 2)}]`;
export const boxOutput: Output = (cell) => pairs(cell, 0, 2);
export const polygonOutput: Output = (cell) => `(${pairs(cell, 4, view(cell).getInt32(0))})`;
export const circleOutput: Output = (cell) => `<${pair(cell, 0)},${float(cell, 16)}>`;

/** path: `u8 1 if it is closed`, then as polygon. */
export const pathOutput: Output = (cell) => {
  const points = pairs(cell, 5, view(cell).getInt32(1));
  return cell.bytes[cell.start] === 1 ? `(${points})` : `[${points}]`;
};
