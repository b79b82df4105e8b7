import { isUnion, type AvroAnnotated, type AvroNamed, type AvroSchema } from './avro.ts';

/**
 * The type system between source and sink: Debezium's semantic types. A source maps its types to
 * these, a sink maps these to its own; neither knows the other.
 *
 * Each has one Avro form ({@link avroOf}) and is recognised from it ({@link semanticOf}), so a topic's
 * schema is all that a sink needs.
 */
export type SemanticType =
  | { readonly kind: 'boolean' | 'int16' | 'int32' | 'int64' | 'float32' | 'float64' }
  | { readonly kind: 'string' | 'bytes' }
  /** Unscaled two's complement bytes, big-endian; the scale is in the schema. */
  | { readonly kind: 'decimal'; readonly precision: number | null; readonly scale: number }
  /** Scale and unscaled bytes in every value. */
  | { readonly kind: 'variable-decimal' }
  /** Days since 1970. */
  | { readonly kind: 'date' }
  /** Since midnight. */
  | { readonly kind: 'time'; readonly unit: TimeUnit }
  /** Since 1970 without a zone. */
  | { readonly kind: 'timestamp'; readonly unit: TimeUnit }
  /** ISO 8601 text in UTC. */
  | { readonly kind: 'zoned-timestamp' }
  | { readonly kind: 'uuid' | 'json' }
  | { readonly kind: 'enum'; readonly allowed: readonly string[] }
  | { readonly kind: 'array'; readonly items: SemanticType };

export type TimeUnit = 'ms' | 'us' | 'ns';

const named = (type: AvroAnnotated['type'], name: string): AvroAnnotated => ({
  type,
  'connect.version': 1,
  'connect.name': name,
});

const DECIMAL = 'org.apache.kafka.connect.data.Decimal';
const VARIABLE_DECIMAL = 'io.debezium.data.VariableScaleDecimal';
const ENUM = 'io.debezium.data.Enum';
const TIMES = {
  ms: 'io.debezium.time.Time',
  us: 'io.debezium.time.MicroTime',
  ns: 'io.debezium.time.NanoTime',
};
const TIMESTAMPS = {
  ms: 'io.debezium.time.Timestamp',
  us: 'io.debezium.time.MicroTimestamp',
  ns: 'io.debezium.time.NanoTimestamp',
};

const variableDecimal: AvroNamed = {
  type: 'record',
  name: 'VariableScaleDecimal',
  namespace: 'io.debezium.data',
  fields: [
    { name: 'scale', type: 'int' },
    { name: 'value', type: 'bytes' },
  ],
  'connect.doc': 'Variable scaled decimal',
  'connect.version': 1,
  'connect.name': VARIABLE_DECIMAL,
};

/** The Avro form of a semantic type, as Debezium's connectors write it through Confluent's converter. */
export function avroOf(type: SemanticType): AvroSchema {
  switch (type.kind) {
    case 'boolean':
      return 'boolean';
    case 'int16':
      return { type: 'int', 'connect.type': 'int16' };
    case 'int32':
      return 'int';
    case 'int64':
      return 'long';
    case 'float32':
      return 'float';
    case 'float64':
      return 'double';
    case 'string':
      return 'string';
    case 'bytes':
      return 'bytes';
    case 'decimal':
      return decimalAvro(type.precision, type.scale);
    case 'variable-decimal':
      return variableDecimal;
    case 'date':
      return named('int', 'io.debezium.time.Date');
    case 'time':
      return named(type.unit === 'ms' ? 'int' : 'long', TIMES[type.unit]);
    case 'timestamp':
      return named('long', TIMESTAMPS[type.unit]);
    case 'zoned-timestamp':
      return named('string', 'io.debezium.time.ZonedTimestamp');
    case 'uuid':
      return named('string', 'io.debezium.data.Uuid');
    case 'json':
      return named('string', 'io.debezium.data.Json');
    case 'enum':
      return {
        type: 'string',
        'connect.version': 1,
        'connect.parameters': { allowed: type.allowed.join(',') },
        'connect.name': ENUM,
      };
    case 'array':
      return { type: 'array', items: ['null', avroOf(type.items)] };
  }
}

function decimalAvro(precision: number | null, scale: number): AvroSchema {
  return {
    type: 'bytes',
    scale,
    // Connect's converter writes 64 where the precision is not known.
    precision: precision ?? 64,
    'connect.version': 1,
    'connect.parameters': {
      scale: String(scale),
      ...(precision === null ? {} : { 'connect.decimal.precision': String(precision) }),
    },
    'connect.name': DECIMAL,
    logicalType: 'decimal',
  };
}

const PRIMITIVES: Readonly<Record<string, SemanticType>> = {
  boolean: { kind: 'boolean' },
  int: { kind: 'int32' },
  long: { kind: 'int64' },
  float: { kind: 'float32' },
  double: { kind: 'float64' },
  string: { kind: 'string' },
  bytes: { kind: 'bytes' },
};

const NAMED: Readonly<Record<string, SemanticType>> = {
  [VARIABLE_DECIMAL]: { kind: 'variable-decimal' },
  'io.debezium.time.Date': { kind: 'date' },
  'io.debezium.time.ZonedTimestamp': { kind: 'zoned-timestamp' },
  'io.debezium.data.Uuid': { kind: 'uuid' },
  'io.debezium.data.Json': { kind: 'json' },
  ...Object.fromEntries(
    (['ms', 'us', 'ns'] as const).flatMap((unit) => [
      [TIMES[unit], { kind: 'time', unit }],
      [TIMESTAMPS[unit], { kind: 'timestamp', unit }],
    ]),
  ),
};

/** The semantic type of a (non-null) Avro schema; null where we know none, then only its Avro shape is known. */
export function semanticOf(schema: AvroSchema): SemanticType | null {
  if (typeof schema === 'string') return PRIMITIVES[schema] ?? NAMED[schema] ?? null;
  if (isUnion(schema)) return null;
  const name = schema['connect.name'];
  if (name === DECIMAL && schema.type === 'bytes') {
    const known = schema['connect.parameters']?.['connect.decimal.precision'];
    return {
      kind: 'decimal',
      precision: known === undefined ? null : Number(known),
      scale: schema.scale ?? 0,
    };
  }
  if (name === ENUM) {
    return { kind: 'enum', allowed: schema['connect.parameters']?.['allowed']?.split(',') ?? [] };
  }
  if (name !== undefined && NAMED[name] !== undefined) return NAMED[name];
  if (schema.type === 'array') {
    const items = semanticOf(nonNull(schema.items));
    return items === null ? null : { kind: 'array', items };
  }
  if (schema.type === 'int' && schema['connect.type'] === 'int16') return { kind: 'int16' };
  return PRIMITIVES[schema.type] ?? null;
}

/** The one branch of an optional union that is not null; the schema itself if it is no union. */
export function nonNull(schema: AvroSchema): AvroSchema {
  return isUnion(schema) ? (schema.find((branch) => branch !== 'null') ?? 'null') : schema;
}
