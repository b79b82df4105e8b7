import { ByteWriter } from '../../../schemas/byte-writer.ts';
import { int32At, malformed, unsupported } from './type-codec.ts';
import type { Cell, TypeCodec } from './type-codec.ts';

/**
 * One-dimensional arrays whose elements count from 1; NULL elements are kept. Avro has no bounds and
 * Debezium's item type no dimensions, so anything else is refused.
 *
 * Binary (array_send):
 *
 * ```
 * i32 dimensions   i32 1 if there are nulls   i32 element type
 * per dimension: i32 size   i32 lower bound
 * per element: i32 length or -1, value
 * ```
 *
 * Text (array_out): `{1,NULL,"a \"quoted\" one"}`, before it `[0:1]=` if the bounds are not from 1.
 */
export function arrayCodec(element: TypeCodec): TypeCodec {
  const cell: Cell = { bytes: Buffer.alloc(0), start: 0, end: 0 };
  const unescaped = new ByteWriter(64);
  const item = (out: ByteWriter): void => {
    out.byte(2);
    element.text(cell, out);
  };
  return {
    semantic: { kind: 'array', items: element.semantic },
    binary({ bytes, start, end }, out) {
      const dimensions = int32At(bytes, start);
      if (dimensions === 0) {
        out.byte(0);
        return;
      }
      if (dimensions !== 1) throw nested();
      if (int32At(bytes, start + 16) !== 1) throw bounded();
      const count = int32At(bytes, start + 12);
      out.long(count);
      cell.bytes = bytes;
      let at = start + 20;
      for (let i = 0; i < count; i++) {
        const size = int32At(bytes, at);
        at += 4;
        if (size < 0) out.byte(0);
        else {
          cell.start = at;
          cell.end = at += size;
          out.byte(2);
          element.binary(cell, out);
        }
      }
      if (at !== end) throw malformed('a binary array');
      out.byte(0);
    },
    text({ bytes, start, end }, out) {
      if (bytes[start] === 0x5b) throw bounded();
      if (bytes[start] !== 0x7b || bytes[end - 1] !== 0x7d) throw malformed('an array as `{…}`');
      const count = countItems(bytes, start + 1, end - 1);
      if (count > 0) out.long(count);
      let at = start + 1;
      for (let i = 0; i < count; i++) {
        const quoted = bytes[at] === 0x22;
        const itemEnd = skipItem(bytes, at, end - 1);
        if (quoted) {
          unescape(bytes.subarray(at + 1, itemEnd - 1), unescaped);
          cell.bytes = unescaped.bytes;
          cell.start = 0;
          cell.end = unescaped.position;
          item(out);
        } else if (itemEnd - at === 4 && bytes.toString('latin1', at, itemEnd) === 'NULL')
          out.byte(0);
        else {
          cell.bytes = bytes;
          cell.start = at;
          cell.end = itemEnd;
          item(out);
        }
        at = itemEnd + 1;
      }
      out.byte(0);
    },
  };
}

function countItems(bytes: Buffer, start: number, end: number): number {
  if (start === end) return 0;
  let count = 1;
  for (let at = skipItem(bytes, start, end); at < end; at = skipItem(bytes, at + 1, end)) count++;
  return count;
}

/** The end of the element that begins at `start`: the comma after it, or `end`. */
function skipItem(bytes: Buffer, start: number, end: number): number {
  let at = start;
  if (bytes[at] === 0x7b) throw nested();
  if (bytes[at] === 0x22) {
    for (at++; at < end && bytes[at] !== 0x22; at++) if (bytes[at] === 0x5c) at++;
    at++;
  } else while (at < end && bytes[at] !== 0x2c) at++;
  if (at > end || (at < end && bytes[at] !== 0x2c)) throw malformed('an array as `{…}`');
  return at;
}

function unescape(quoted: Buffer, into: ByteWriter): void {
  into.reset();
  into.reserve(quoted.length);
  for (let at = 0; at < quoted.length; at++) {
    if (quoted[at] === 0x5c) at++;
    into.bytes[into.position++] = quoted[at] as number;
  }
}

function nested(): Error {
  return unsupported('An array has more than one dimension.');
}

function bounded(): Error {
  return unsupported('An array does not count from 1.');
}
