import { view, type Output } from './output.ts';

const WEIGHTS = ['', 'C', 'B', 'A'];

/** tsvector_send: `i32 lexemes`, each its text, a zero, `u16 positions`, each 2 bits weight and 14 place. */
export const tsvectorOutput: Output = (cell) => {
  const data = view(cell);
  const { bytes, start } = cell;
  const lexemes: string[] = [];
  let at = 4;
  for (let left = data.getInt32(0); left > 0; left--) {
    const end = bytes.indexOf(0, start + at);
    const word = bytes.toString('utf8', start + at, end).replaceAll(/['\\]/g, '$&$&');
    at = end - start + 1;
    const places: string[] = [];
    for (let count = data.getUint16(at); count > 0; count--) {
      at += 2;
      const place = data.getUint16(at);
      places.push(`${place & 0x3fff}${WEIGHTS[place >> 14]}`);
    }
    at += 2;
    lexemes.push(`'${word}'${places.length > 0 ? ':' : ''}${places.join(',')}`);
  }
  return lexemes.join(' ');
};

/** hstore_send: `i32 pairs`, each a key and a value with its size, -1 for NULL. */
export function hstorePairs(cell: Parameters<Output>[0]): [key: string, value: string | null][] {
  const { bytes } = cell;
  const pairs: [string, string | null][] = [];
  let at = cell.start + 4;
  const text = (): string | null => {
    const size = bytes.readInt32BE(at);
    at += 4 + Math.max(size, 0);
    return size < 0 ? null : bytes.toString('utf8', at - size, at);
  };
  while (at < cell.end) pairs.push([text() ?? '', text()]);
  return pairs;
}

const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, '\\$&')}"`;

export const hstoreOutput: Output = (cell) =>
  hstorePairs(cell)
    .map(([key, value]) => `${quoted(key)}=>${value === null ? 'NULL' : quoted(value)}`)
    .join(', ');

const PAIR = /\s*"((?:[^"\\]|\\.)*)"=>(?:"((?:[^"\\]|\\.)*)"|NULL)(?:,|$)/gsy;

const plain = (escaped: string): string => escaped.replaceAll(/\\(.)/gs, '$1');

/** The pairs of hstore's text form. */
export function hstoreFromText(text: string): [key: string, value: string | null][] {
  return Array.from(text.matchAll(PAIR), ([, key = '', value]) => [
    plain(key),
    value === undefined ? null : plain(value),
  ]);
}
