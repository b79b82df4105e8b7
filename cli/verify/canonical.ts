import {
  DEFAULT_MODES,
  type BinaryMode,
  type TypeModes,
} from '../../connectors/postgres/types/modes.ts';
import { isoDate, isoTimestamp } from './iso-text.ts';

type PlainKind =
  | ('text' | 'padded' | 'integer' | 'float' | 'single' | 'boolean' | 'uuid')
  | ('date' | 'time' | 'timestamp' | 'instant' | 'interval')
  | ('iso-date' | 'iso-time' | 'iso-timestamp')
  /** numeric and money as a float. */
  | ('rounded' | 'rounded-money')
  | ('decimal' | 'money' | 'bit' | 'hstore' | 'point' | 'box' | 'polygon')
  | ('vector' | 'halfvec' | 'sparsevec' | 'ewkb');

/** How a type is brought to the one text that both databases can be asked for. */
export type Canonical =
  | { readonly kind: PlainKind }
  | { readonly kind: 'bytes'; readonly as: BinaryMode }
  | { readonly kind: 'array'; readonly items: Canonical; readonly dimensions: number };

const kinds: Readonly<Record<string, PlainKind>> = {
  int2: 'integer',
  int4: 'integer',
  int8: 'integer',
  oid: 'integer',
  float4: 'single',
  float8: 'float',
  bool: 'boolean',
  uuid: 'uuid',
  bpchar: 'padded',
  date: 'date',
  time: 'time',
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
  vector: 'vector',
  halfvec: 'halfvec',
  sparsevec: 'sparsevec',
  geometry: 'ewkb',
  geography: 'ewkb',
};

/** What stands for a kind where the source is told to write its values in another form. */
function moded(kind: PlainKind, modes: TypeModes): Canonical {
  if (modes.decimal === 'double' && kind === 'decimal') return { kind: 'rounded' };
  if (modes.decimal === 'double' && kind === 'money') return { kind: 'rounded-money' };
  if (modes.time === 'isostring') {
    if (kind === 'date' || kind === 'time' || kind === 'timestamp') return { kind: `iso-${kind}` };
  }
  return { kind };
}

/** A type of `pg_type`, its base type if it is a domain. */
export interface ComparedType {
  readonly name: string;
  /** Of an array. */
  readonly element: string | null;
  readonly dimensions: number;
}

/** The canonical form of a type, by how the source is told to write its values. */
export function canonicalOf(type: ComparedType, modes: TypeModes = DEFAULT_MODES): Canonical {
  if (type.element !== null) {
    const items = canonicalOf({ name: type.element, element: null, dimensions: 0 }, modes);
    return { kind: 'array', items, dimensions: Math.max(1, type.dimensions) };
  }
  if (type.name === 'bytea') return { kind: 'bytes', as: modes.binary };
  return moded(kinds[type.name] ?? 'text', modes);
}

export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** SQL for Postgres: the canonical text of a value. */
export function postgresText(type: Canonical, value: string): string {
  switch (type.kind) {
    case 'integer':
    case 'decimal':
    case 'rounded':
    case 'bit':
    case 'float':
    case 'single':
    case 'boolean':
    case 'uuid':
    case 'date':
    case 'time':
    case 'point':
    case 'box':
    case 'polygon':
    case 'vector':
    case 'halfvec':
    case 'sparsevec':
    case 'ewkb':
      return `${value}::text`;
    case 'iso-date':
      return isoDate(value);
    case 'iso-time':
      return `${value}::text || 'Z'`;
    case 'iso-timestamp':
      return isoTimestamp(value);
    case 'text':
    case 'padded':
      // A cast to text drops the padding of char(n) and adds a mask to inet; a row of nulls IS NULL.
      return `CASE num_nulls(${value}) WHEN 0 THEN format('%s', ${value}) END`;
    case 'bytes':
      return encoded(type.as, value);
    case 'timestamp':
    case 'instant':
      return `CASE WHEN isfinite(${value}) THEN (extract(epoch FROM ${value}) * 1000000)::bigint::text ELSE ${value}::text END`;
    case 'interval':
      return `CASE WHEN ${value} IS NOT NULL THEN ${intervalParts((part) => `extract(${part} FROM ${value})::bigint`)} END`;
    case 'money':
    case 'rounded-money':
      return `${value}::numeric::text`;
    case 'hstore':
      // A cast is found wherever the extension was installed.
      return `(${value})::json::text`;
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

/** Base64 as java.util.Base64 writes it: in one line, with its padding. */
function encoded(as: BinaryMode, value: string): string {
  if (as === 'bytes' || as === 'hex') return `encode(${value}, 'hex')`;
  const text = `replace(encode(${value}, 'base64'), chr(10), '')`;
  return as === 'base64' ? text : `translate(${text}, '+/', '-_')`;
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
    case 'single':
    case 'rounded':
    case 'rounded-money':
    case 'boolean':
    case 'uuid':
    case 'date':
    case 'time':
    case 'iso-date':
    case 'iso-time':
    case 'iso-timestamp':
    case 'money':
    case 'hstore':
    case 'point':
    case 'box':
    case 'polygon':
    case 'vector':
    case 'halfvec':
    case 'sparsevec':
    case 'ewkb':
      return `CAST(${value} AS VARCHAR)`;
    case 'bytes':
      return type.as === 'bytes' ? `lower(hex(${value}))` : `CAST(${value} AS VARCHAR)`;
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
  return ['integer', 'float', 'single', 'boolean', 'uuid', 'date', 'timestamp', 'instant'].includes(
    type.kind,
  );
}
