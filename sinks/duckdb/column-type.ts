import type { EnvelopeColumn } from '../../schemas/envelope-reader.ts';
import type { SemanticType } from '../../schemas/semantic.ts';

/** The DuckDB type for a topic's column, as DuckDB's catalogue spells it. */
export function duckdbType(column: Pick<EnvelopeColumn, 'schema' | 'type'>): string {
  // Where only the Avro shape is known it is a record, a map or an array of these: JSON text.
  return column.type === null
    ? column.schema === 'null'
      ? 'VARCHAR'
      : 'JSON'
    : semanticType(column.type);
}

const SIMPLE = {
  boolean: 'BOOLEAN',
  int16: 'SMALLINT',
  int32: 'INTEGER',
  int64: 'BIGINT',
  float32: 'FLOAT',
  float64: 'DOUBLE',
  string: 'VARCHAR',
  enum: 'VARCHAR',
  'variable-decimal': 'VARCHAR',
  xml: 'VARCHAR',
  ltree: 'VARCHAR',
  tsvector: 'VARCHAR',
  // Whoever asks for text gets text.
  'iso-date': 'VARCHAR',
  'iso-time': 'VARCHAR',
  'iso-timestamp': 'VARCHAR',
  bits: 'BIT',
  'zoned-time': 'TIME WITH TIME ZONE',
  interval: 'INTERVAL',
  'micro-duration': 'INTERVAL',
  map: 'JSON',
  point: 'JSON',
  geometry: 'JSON',
  geography: 'JSON',
  'double-vector': 'DOUBLE[]',
  'float-vector': 'FLOAT[]',
  'sparse-vector': 'JSON',
  bytes: 'BLOB',
  date: 'DATE',
  'zoned-timestamp': 'TIMESTAMP WITH TIME ZONE',
  uuid: 'UUID',
  json: 'JSON',
} as const;

function semanticType(type: SemanticType): string {
  switch (type.kind) {
    case 'decimal':
      return decimalType(type.precision, type.scale);
    case 'time':
      return type.unit === 'ns' ? 'TIME_NS' : 'TIME';
    case 'timestamp':
      return type.unit === 'ns' ? 'TIMESTAMP_NS' : 'TIMESTAMP';
    case 'array':
      return `${semanticType(type.items)}[]`;
    case 'boolean':
    case 'int16':
    case 'int32':
    case 'int64':
    case 'float32':
    case 'float64':
    case 'string':
    case 'enum':
    case 'variable-decimal':
    case 'xml':
    case 'ltree':
    case 'tsvector':
    case 'iso-date':
    case 'iso-time':
    case 'iso-timestamp':
    case 'bytes':
    case 'bits':
    case 'date':
    case 'zoned-timestamp':
    case 'zoned-time':
    case 'interval':
    case 'micro-duration':
    case 'uuid':
    case 'json':
    case 'map':
    case 'point':
    case 'geometry':
    case 'geography':
    case 'double-vector':
    case 'float-vector':
    case 'sparse-vector':
      return SIMPLE[type.kind];
  }
}

const DIGITS_MAX = 38;

/** DECIMAL where it is exact; plain text where there may be more digits than DuckDB's 38, or fewer than none. */
function decimalType(precision: number | null, scale: number): string {
  if (precision === null || scale < 0) return 'VARCHAR';
  const width = Math.max(precision, scale, 1);
  return width > DIGITS_MAX ? 'VARCHAR' : `DECIMAL(${width},${scale})`;
}

/** Width and scale of a DECIMAL type; null for any other. */
export function decimalShape(type: string): { width: number; scale: number } | null {
  const found = /^DECIMAL\((\d+),(\d+)\)$/.exec(type);
  return found === null ? null : { width: Number(found[1]), scale: Number(found[2]) };
}

function digitsOf(type: string): { width: number; scale: number } | null {
  const width = DIGITS[type];
  return width === undefined ? decimalShape(type) : { width, scale: 0 };
}

const CHAINS = [
  ['SMALLINT', 'INTEGER', 'BIGINT'],
  ['FLOAT', 'DOUBLE'],
];

/** Decimal digits that hold every integer of a type. */
const DIGITS: Readonly<Record<string, number>> = { SMALLINT: 5, INTEGER: 10, BIGINT: 19 };

/**
 * The narrowest type that a column can be given so that it holds its values and those of the wanted type
 * exactly; null if there is none. A number may become text, which has all its digits, but text no number.
 */
export function widestType(one: string, other: string): string | null {
  if (one === other) return one;
  for (const chain of CHAINS) {
    const [a, b] = [chain.indexOf(one), chain.indexOf(other)];
    if (a >= 0 && b >= 0) return chain[Math.max(a, b)] ?? null;
  }
  const [a, b] = [digitsOf(one), digitsOf(other)];
  if (a !== null && other === 'VARCHAR') return 'VARCHAR';
  if (a === null || b === null) return null;
  const scale = Math.max(a.scale, b.scale);
  const width = scale + Math.max(a.width - a.scale, b.width - b.scale);
  return width > DIGITS_MAX ? null : `DECIMAL(${width},${scale})`;
}
