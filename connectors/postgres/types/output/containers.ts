import { view, type Output } from './output.ts';
import type { Cell } from '../type-codec.ts';

/** An array as array_out writes it; `delimiter` is the element's `typdelim`. */
export function arrayOutput(element: Output, delimiter = ','): Output {
  return (cell) => {
    const data = view(cell);
    const dimensions = data.getInt32(0);
    if (dimensions === 0) return '{}';
    const sizes: number[] = [];
    const lowers: number[] = [];
    for (let at = 0; at < dimensions; at++) {
      sizes.push(data.getInt32(12 + 8 * at));
      lowers.push(data.getInt32(16 + 8 * at));
    }
    const bounds = lowers.some((lower) => lower !== 1)
      ? `${lowers.map((lower, at) => `[${lower}:${lower + (sizes[at] as number) - 1}]`).join('')}=`
      : '';
    let at = cell.start + 12 + 8 * dimensions;
    const level = (depth: number): string => {
      const items: string[] = [];
      for (let left = sizes[depth] as number; left > 0; left--) {
        if (depth < dimensions - 1) items.push(level(depth + 1));
        else {
          const found = field(cell, at);
          at = found.next;
          items.push(found.value === null ? 'NULL' : arrayItem(element(found.value), delimiter));
        }
      }
      return `{${items.join(delimiter)}}`;
    };
    return bounds + level(0);
  };
}

function arrayItem(text: string, delimiter: string): string {
  const plain = text !== '' && !/["\\{} \t\n\r\v\f]/.test(text) && !text.includes(delimiter);
  return plain && text.toUpperCase() !== 'NULL' ? text : `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
}

/** int2vector and oidvector: arrays that are written without braces. */
export function vectorOutput(element: Output): Output {
  return (cell) => {
    const items: string[] = [];
    for (let at = cell.start + 20; at < cell.end;) {
      const found = field(cell, at);
      at = found.next;
      items.push(found.value === null ? '' : element(found.value));
    }
    return items.join(' ');
  };
}

const EMPTY = 1;
const [LOWER_INCLUSIVE, UPPER_INCLUSIVE] = [2, 4];
const [LOWER_INFINITE, UPPER_INFINITE] = [8, 16];

/** range_send: `u8 flags`, then the bounds that there are, each with its size. */
export function rangeOutput(subtype: Output): Output {
  return (cell) => {
    const flags = cell.bytes[cell.start] as number;
    if ((flags & EMPTY) !== 0) return 'empty';
    let at = cell.start + 1;
    const bound = (infinite: number): string => {
      if ((flags & infinite) !== 0) return '';
      const found = field(cell, at);
      at = found.next;
      return found.value === null ? '' : quoted(subtype(found.value), /["\\(),[\] \t\n\r\v\f]/);
    };
    const lower = bound(LOWER_INFINITE);
    const upper = bound(UPPER_INFINITE);
    const open = (flags & LOWER_INCLUSIVE) !== 0 ? '[' : '(';
    return `${open}${lower},${upper}${(flags & UPPER_INCLUSIVE) !== 0 ? ']' : ')'}`;
  };
}

/** multirange_send: `i32 ranges`, each with its size. */
export function multirangeOutput(range: Output): Output {
  return (cell) => {
    const items: string[] = [];
    for (let at = cell.start + 4; at < cell.end;) {
      const found = field(cell, at);
      at = found.next;
      if (found.value !== null) items.push(range(found.value));
    }
    return `{${items.join(',')}}`;
  };
}

/** record_send: `i32 columns`, each `i32 type`, then its value with its size. */
export function recordOutput(fields: readonly Output[]): Output {
  return (cell) => {
    const items: string[] = [];
    let at = cell.start + 4;
    for (const output of fields) {
      const found = field(cell, at + 4);
      at = found.next;
      items.push(found.value === null ? '' : quoted(output(found.value), /["\\(), \t\n\r\v\f]/));
    }
    return `(${items.join(',')})`;
  };
}

/** Doubled quotes and backslashes, and quotes around what is empty or has any of `special`. */
function quoted(text: string, special: RegExp): string {
  return text !== '' && !special.test(text) ? text : `"${text.replaceAll(/["\\]/g, '$&$&')}"`;
}

/** A value with its size before it, -1 for NULL, and where the next one starts. */
function field({ bytes }: Cell, at: number): { value: Cell | null; next: number } {
  const size = bytes.readInt32BE(at);
  const start = at + 4;
  if (size < 0) return { value: null, next: start };
  return { value: { bytes, start, end: start + size }, next: start + size };
}
