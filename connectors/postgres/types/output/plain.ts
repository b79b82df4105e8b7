import { malformed } from '../type-codec.ts';
import type { Output } from './output.ts';
import { view } from './output.ts';

export const textOutput: Output = ({ bytes, start, end }) => bytes.toString('utf8', start, end);

/** A byte with the version of the binary form, then the text: jsonb, jsonpath, ltree, lquery. */
export const versionedText: Output = ({ bytes, start, end }) => {
  if (bytes[start] !== 1) throw malformed('binary form of version 1');
  return bytes.toString('utf8', start + 1, end);
};

export const boolOutput: Output = ({ bytes, start }) => (bytes[start] === 0 ? 'f' : 't');
export const int2Output: Output = (cell) => String(view(cell).getInt16(0));
export const int4Output: Output = (cell) => String(view(cell).getInt32(0));
export const int8Output: Output = (cell) => String(view(cell).getBigInt64(0));
export const uint4Output: Output = (cell) => String(view(cell).getUint32(0));
export const uint8Output: Output = (cell) => String(view(cell).getBigUint64(0));

export const byteaOutput: Output = ({ bytes, start, end }) =>
  `\\x${bytes.toString('hex', start, end)}`;

/** geometry and geography of PostGIS: their extended well-known binary in capitals. */
export const ewkbOutput: Output = ({ bytes, start, end }) =>
  bytes.toString('hex', start, end).toUpperCase();

export const uuidOutput: Output = ({ bytes, start, end }) =>
  bytes.toString('hex', start, end).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');

/** `"char"`: one byte; zero is the empty text, and what is not ASCII is three octal digits. */
export const charOutput: Output = ({ bytes, start }) => {
  const letter = bytes[start] ?? 0;
  if (letter > 0x7f) return `\\${letter.toString(8)}`;
  return letter === 0 ? '' : String.fromCharCode(letter);
};

/** pg_lsn: `16/B374D848`. */
export const lsnOutput: Output = (cell) => {
  const data = view(cell);
  return `${data.getUint32(0).toString(16)}/${data.getUint32(4).toString(16)}`.toUpperCase();
};

/** tid: block and place in it. */
export const tidOutput: Output = (cell) => {
  const data = view(cell);
  return `(${data.getUint32(0)},${data.getUint16(4)})`;
};

/** bit and varbit: `i32 bits`, then bytes, the first bit the highest of the first. */
export const bitOutput: Output = (cell) => {
  const size = view(cell).getInt32(0);
  let text = '';
  for (let at = cell.start + 4; at < cell.end; at++) {
    text += (cell.bytes[at] as number).toString(2).padStart(8, '0');
  }
  return text.slice(0, size);
};

/** money under lc_monetary C: `-$1,234.56`. */
export const moneyOutput: Output = (cell) => {
  const cents = view(cell).getBigInt64(0);
  const digits = String(cents < 0n ? -cents : cents).padStart(3, '0');
  const whole = digits.slice(0, -2).replaceAll(/\B(?=(\d{3})+$)/g, ',');
  return `${cents < 0n ? '-' : ''}$${whole}.${digits.slice(-2)}`;
};
