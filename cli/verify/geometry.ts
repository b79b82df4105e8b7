interface Stored {
  readonly x?: number | string;
  readonly y?: number | string;
  readonly wkb?: string;
  readonly extensions?: Readonly<Record<string, string>> | null;
}

/**
 * The numbers of a point, box or polygon, from Postgres' text or from the JSON that the sink stores of
 * Debezium's form: both give the same text.
 */
export function geometryText(kind: 'point' | 'box' | 'polygon', text: string): string {
  const numbers = text.startsWith('{')
    ? numbersOf(kind, JSON.parse(text) as Stored)
    : (text.match(/[-+.\w]+/g) ?? []).map(Number);
  return numbers.map((number) => (Object.is(number, -0) ? '-0' : String(number))).join(' ');
}

function numbersOf(kind: 'point' | 'box' | 'polygon', stored: Stored): number[] {
  if (kind === 'point') return [Number(stored.x), Number(stored.y)];
  const wkb = Buffer.from(stored.wkb ?? '', 'base64');
  const count = wkb.readUInt32LE(9);
  const ring = Array.from({ length: 2 * count }, (_, at) => wkb.readDoubleLE(13 + 8 * at));
  if (kind === 'box') return [...ring.slice(0, 2), ...ring.slice(4, 6)];
  // A ring ends where it began, but for a polygon of one point and one that says how many it has.
  const points = Number(stored.extensions?.['points'] ?? Math.max(1, count - 1));
  return ring.slice(0, 2 * points);
}
