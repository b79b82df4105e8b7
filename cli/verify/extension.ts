/**
 * A value of pgvector or PostGIS, from Postgres' text or from what the sink stores of Debezium's form, a
 * list or JSON: both give the same text.
 */
export function extensionText(
  kind: 'vector' | 'halfvec' | 'sparsevec' | 'ewkb',
  text: string,
): string {
  switch (kind) {
    case 'vector':
      return numbersOf(text).map(shown).join(' ');
    case 'halfvec':
      return numbersOf(text).map(Math.fround).map(shown).join(' ');
    case 'sparsevec':
      return sparseText(text);
    case 'ewkb':
      return text.startsWith('{')
        ? Buffer.from((JSON.parse(text) as { wkb: string }).wkb, 'base64')
            .toString('hex')
            .toUpperCase()
        : text;
  }
}

const numbersOf = (text: string): number[] => text.slice(1, -1).split(',').map(Number);

const shown = (number: number): string => (Object.is(number, -0) ? '-0' : String(number));

function sparseText(text: string): string {
  const stored = text.startsWith('{"')
    ? (JSON.parse(text) as { dimensions: number; vector: Readonly<Record<string, number>> })
    : null;
  const [, items = '', dimensions = ''] = /^\{(.*)\}\/(\d+)$/s.exec(text) ?? [];
  const entries =
    stored === null
      ? items
          .split(',')
          .filter((item) => item !== '')
          .map((item) => item.split(':').map(Number))
      : Object.entries(stored.vector).map(([place, value]) => [Number(place), value]);
  const list = entries.map(([place = 0, value = 0]) => `${place}:${shown(value)}`);
  return `${list.join(' ')}/${stored?.dimensions ?? dimensions}`;
}
