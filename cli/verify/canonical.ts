import { geometryText } from './geometry.ts';

/** How a type is brought to the one text that both databases can be asked for. */
export type Canonical =
  | { readonly kind: 'text' | 'padded' | 'integer' | 'float' | 'boolean' | 'uuid' | 'bytes' }
  | { readonly kind: 'date' | 'timestamp' | 'instant' | 'interval' }
  | { readonly kind: 'decimal' | 'money' | 'bit' | 'hstore' | 'point' | 'box' | 'polygon' }
  | { readonly kind: 'array'; readonly items: Canonical; readonly dimensions: number };

const kinds: Readonly<Record<string, Exclude<Canonical['kind'], 'array'>>> = {
  int2: 'integer',
  int4: 'integer',
  int8: 'integer',
  oid: 'integer',
  float4: 'float',
  float8: 'float',
  bool: 'boolean',
  uuid: 'uuid',
  bytea: 'bytes',
  bpchar: 'padded',
  date: 'date',
  timestamp: 'timestamp',
  timestamptz: 'instant',
  interval: 'interval',
  numeric: 'decimal',
  bit: 'bit',
  money: 'money',
  hstore: 'hstore',
  point: 'point',
  box: 'box',
  polygon: 'polygon',
};

/** The canonical form for a type of `pg_type`, its base type if it is a domain. */
export function canonicalOf(
  typeName: string,
  elementName: string | null,
  dimensions = 1,
): Canonical {
  if (elementName !== null) {
    const items = canonicalOf(elementName, null);
    return { kind: 'array', items, dimensions: Math.max(1, dimensions) };
  }
  return { kind: kinds[typeName] ?? 'text' };
}

export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** SQL for Postgres: the canonical text of a value. */
export function postgresText(type: Canonical, value: string): string {
  switch (type.kind) {
    case 'integer':
    case 'decimal':
    case 'bit':
    case 'float':
    case 'boolean':
    case 'uuid':
    case 'date':
    case 'point':
    case 'box':
    case 'polygon':
      return `${value}::text`;
    case 'text':
    case 'padded':
      // A cast to text drops the padding of char(n) and adds a mask to inet; a row of nulls IS NULL.
      return `CASE num_nulls(${value}) WHEN 0 THEN format('%s', ${value}) END`;
    case 'bytes':
      return `encode(${value}, 'hex')`;
    case 'timestamp':
    case 'instant':
      return `CASE WHEN isfinite(${value}) THEN (extract(epoch FROM ${value}) * 1000000)::bigint::text ELSE ${value}::text END`;
    case 'interval':
      return `CASE WHEN ${value} IS NOT NULL THEN ${intervalParts((part) => `extract(${part} FROM ${value})::bigint`)} END`;
    case 'money':
      return `${value}::numeric::text`;
    case 'hstore':
      return `hstore_to_json(${value})::text`;
    case 'array': {
      if (type.dimensions > 1) {
        // to_json nests as the array does; its numbers keep their digits.
        return `to_json(${value}::text[])::text`;
      }
      const items = `SELECT json_agg(${postgresText(type.items, `(${value})[place]`)} ORDER BY place) FROM generate_subscripts(${value}, 1) AS place`;
      return `CASE WHEN ${value} IS NOT NULL THEN coalesce((${items})::text, '[]') END`;
    }
  }
}

/** Months, days and microseconds: a month has no fixed days, a day no fixed hours. */
function intervalParts(part: (name: string) => string): string {
  const micros = `${part('hour')} * 3600000000 + ${part('minute')} * 60000000 + ${part('microsecond')}`;
  return `concat(${part('year')} * 12 + ${part('month')}, ' ', ${part('day')}, ' ', ${micros})`;
}

/** SQL for DuckDB: the canonical text of a value, whatever type of its own it was stored as. */
export function duckdbText(type: Canonical, value: string): string {
  switch (type.kind) {
    case 'text':
    case 'padded':
    case 'integer':
    case 'decimal':
    case 'bit':
    case 'float':
    case 'boolean':
    case 'uuid':
    case 'date':
    case 'money':
    case 'hstore':
    case 'point':
    case 'box':
    case 'polygon':
      return `CAST(${value} AS VARCHAR)`;
    case 'bytes':
      return `lower(hex(${value}))`;
    case 'timestamp':
    case 'instant': {
      const time = `CAST(${value} AS ${type.kind === 'instant' ? 'TIMESTAMPTZ' : 'TIMESTAMP'})`;
      return `CASE WHEN isfinite(${time}) THEN CAST(epoch_us(${time}) AS VARCHAR) ELSE CAST(${time} AS VARCHAR) END`;
    }
    case 'interval':
      return `CASE WHEN ${value} IS NOT NULL THEN ${intervalParts((part) => `date_part('${part}', ${value})`)} END`;
    case 'array':
      if (type.dimensions > 1) {
        return `CAST(to_json(CAST(${value} AS VARCHAR${'[]'.repeat(type.dimensions)})) AS VARCHAR)`;
      }
      return `CAST(to_json(list_transform(${value}, lambda item: ${duckdbText(type.items, 'item')})) AS VARCHAR)`;
  }
}

/** True where both databases sort the values themselves alike; the rest is sorted as text, by bytes. */
export function sortsAlike(type: Canonical): boolean {
  return ['integer', 'float', 'boolean', 'uuid', 'date', 'timestamp', 'instant'].includes(
    type.kind,
  );
}

/** Takes out what the two databases write differently and mean alike. */
export function normalise(type: Canonical, text: string | null): string | null {
  if (text === null) return null;
  switch (type.kind) {
    case 'float':
      return normaliseFloat(text);
    case 'decimal':
      // Where all digits are after the point, DuckDB has none before it.
      return text.replace(/^(-?)\./, '$10.');
    case 'bit':
      // bit(1) is a boolean.
      return text === 'true' ? '1' : text === 'false' ? '0' : text;
    case 'date':
      return text.replace('(BC)', 'BC');
    case 'hstore':
      return JSON.stringify(JSON.parse(text));
    case 'point':
    case 'box':
    case 'polygon':
      return geometryText(type.kind, text);
    case 'array': {
      const items = JSON.parse(text) as (string | null)[];
      if (type.dimensions > 1) return JSON.stringify(items);
      return JSON.stringify(items.map((item) => normalise(type.items, item)));
    }
    case 'text':
    case 'padded':
    case 'integer':
    case 'boolean':
    case 'uuid':
    case 'bytes':
    case 'timestamp':
    case 'instant':
    case 'interval':
    case 'money':
      return text;
  }
}

/** Whether {@link normalise} does anything. */
export function isNormalised({ kind }: Canonical): boolean {
  return ['float', 'decimal', 'bit', 'date', 'hstore', 'point', 'box', 'polygon', 'array'].includes(
    kind,
  );
}

function normaliseFloat(text: string): string {
  const word = text.toLowerCase();
  if (word.startsWith('inf') || word.startsWith('-inf'))
    return word.slice(0, word.indexOf('i') + 3);
  const number = Number(text);
  return Object.is(number, -0) ? '-0' : String(number);
}

/** Order of two canonical texts of one column, as the databases return them; null comes last. */
export function compareText(type: Canonical, a: string | null, b: string | null): number {
  if (a === b) return 0;
  if (a === null || b === null) return a === null ? 1 : -1;
  switch (type.kind) {
    case 'integer':
    case 'timestamp':
    case 'instant':
      return integerOf(a) < integerOf(b) ? -1 : 1;
    case 'float':
      return compareFloats(numberOf(a), numberOf(b));
    case 'text':
    case 'padded':
    case 'boolean':
    case 'uuid':
    case 'bytes':
    case 'bit':
    case 'decimal':
    case 'date':
    case 'interval':
    case 'money':
    case 'hstore':
    case 'point':
    case 'box':
    case 'polygon':
    case 'array':
      return Buffer.compare(Buffer.from(a), Buffer.from(b));
  }
}

/** Infinite times are outside of all that 64 bits can say. */
function integerOf(text: string): bigint {
  if (text === 'infinity') return 1n << 64n;
  return text === '-infinity' ? -(1n << 64n) : BigInt(text);
}

/** NaN is above all numbers in both databases. */
function compareFloats(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a < b ? -1 : Number(a > b);
}

function numberOf(text: string): number {
  return text.endsWith('inf') ? (text === 'inf' ? Infinity : -Infinity) : Number(text);
}
