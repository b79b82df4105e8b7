/** How a type is brought to the one text that both databases can be asked for. */
export type Canonical =
  | { readonly kind: 'text' | 'padded' | 'integer' | 'float' | 'boolean' | 'uuid' | 'bytes' }
  | { readonly kind: 'date' | 'timestamp' | 'instant' }
  | { readonly kind: 'array'; readonly items: Canonical };

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
};

/** The canonical form for a type of `pg_type`, its base type if it is a domain. */
export function canonicalOf(typeName: string, elementName: string | null): Canonical {
  if (elementName !== null) return { kind: 'array', items: canonicalOf(elementName, null) };
  return { kind: kinds[typeName] ?? 'text' };
}

export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** SQL for Postgres: the canonical text of a value. */
export function postgresText(type: Canonical, value: string): string {
  switch (type.kind) {
    case 'text':
    case 'integer':
    case 'float':
    case 'boolean':
    case 'uuid':
    case 'date':
      return `${value}::text`;
    case 'padded':
      // A cast of char(n) to text drops the padding, which belongs to the value that is sent.
      return `CASE WHEN ${value} IS NOT NULL THEN format('%s', ${value}) END`;
    case 'bytes':
      return `encode(${value}, 'hex')`;
    case 'timestamp':
    case 'instant':
      return `CASE WHEN isfinite(${value}) THEN (extract(epoch FROM ${value}) * 1000000)::bigint::text ELSE ${value}::text END`;
    case 'array': {
      const items = `SELECT json_agg(${postgresText(type.items, 'item')} ORDER BY place) FROM unnest(${value}) WITH ORDINALITY AS items(item, place)`;
      return `CASE WHEN ${value} IS NOT NULL THEN coalesce((${items})::text, '[]') END`;
    }
  }
}

/** SQL for DuckDB: the canonical text of a value, whatever type of its own it was stored as. */
export function duckdbText(type: Canonical, value: string): string {
  switch (type.kind) {
    case 'text':
    case 'padded':
    case 'integer':
    case 'float':
    case 'boolean':
    case 'uuid':
    case 'date':
      return `CAST(${value} AS VARCHAR)`;
    case 'bytes':
      return `lower(hex(${value}))`;
    case 'timestamp':
    case 'instant': {
      const time = `CAST(${value} AS ${type.kind === 'instant' ? 'TIMESTAMPTZ' : 'TIMESTAMP'})`;
      return `CASE WHEN isfinite(${time}) THEN CAST(epoch_us(${time}) AS VARCHAR) ELSE CAST(${time} AS VARCHAR) END`;
    }
    case 'array':
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
    case 'array': {
      const items = JSON.parse(text) as (string | null)[];
      return JSON.stringify(items.map((item) => normalise(type.items, item)));
    }
    case 'text':
    case 'padded':
    case 'integer':
    case 'boolean':
    case 'uuid':
    case 'bytes':
    case 'date':
    case 'timestamp':
    case 'instant':
      return text;
  }
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
    case 'date':
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
