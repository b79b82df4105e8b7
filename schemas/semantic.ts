import { isUnion, type AvroAnnotated, type AvroSchema } from './avro.ts';
import { FORMS, int16 } from './semantic-forms.ts';

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
  | { readonly kind: 'date'; readonly name?: TimeNames }
  /** Since midnight. */
  | { readonly kind: 'time'; readonly unit: TimeUnit; readonly name?: TimeNames }
  /** Since 1970 without a zone. */
  | { readonly kind: 'timestamp'; readonly unit: TimeUnit; readonly name?: TimeNames }
  /** ISO 8601 text in UTC, but for `zoned-time`, whose text has an offset of its own. */
  | { readonly kind: 'zoned-timestamp' | 'zoned-time' | 'iso-date' | 'iso-time' | 'iso-timestamp' }
  /** `P1Y2M3DT4H5M6.7S`. */
  | { readonly kind: 'interval' }
  /** The same as microseconds, with months of 30.4375 days. */
  | { readonly kind: 'micro-duration' }
  | { readonly kind: 'uuid' | 'json' | 'xml' | 'ltree' | 'tsvector' }
  | { readonly kind: 'enum'; readonly allowed: readonly string[] }
  /** The first bit is the highest of the last byte; `length` bits, or up to that many. */
  | { readonly kind: 'bits'; readonly length: number }
  /** Well-known binary, and for a point its coordinates. */
  | { readonly kind: 'point' | 'geometry' | 'geography' }
  /** Numbers for similarity search; of a sparse one its dimensions and those that are not zero, from 1. */
  | { readonly kind: 'double-vector' | 'float-vector' | 'sparse-vector' }
  /** Text to text or null. */
  | { readonly kind: 'map' }
  | { readonly kind: 'array'; readonly items: SemanticType };

export type TimeUnit = 'ms' | 'us' | 'ns';

/** Under whose names numbers of time travel; Debezium's if it is not said. */
export type TimeNames = 'connect';

const named = (type: AvroAnnotated['type'], name: string): AvroAnnotated => ({
  type,
  'connect.version': 1,
  'connect.name': name,
});

const MICRO_DURATION = 'io.debezium.time.MicroDuration';
const BITS = 'io.debezium.data.Bits';
/** JSON array of the labels, where one has a comma and `allowed` cannot tell. Ours, ignored by others. */
const LABELS = 'millrace.allowed';
const DECIMAL = 'org.apache.kafka.connect.data.Decimal';
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

/** Kafka Connect's own, which know milliseconds only. */
const CONNECT_TIMES = {
  date: ['int', 'org.apache.kafka.connect.data.Date', 'date'],
  time: ['int', 'org.apache.kafka.connect.data.Time', 'time-millis'],
  timestamp: ['long', 'org.apache.kafka.connect.data.Timestamp', 'timestamp-millis'],
} as const;

/** Text under a name. */
const TEXTS = {
  'zoned-timestamp': 'io.debezium.time.ZonedTimestamp',
  'zoned-time': 'io.debezium.time.ZonedTime',
  'iso-date': 'io.debezium.time.IsoDate',
  'iso-time': 'io.debezium.time.IsoTime',
  'iso-timestamp': 'io.debezium.time.IsoTimestamp',
  interval: 'io.debezium.time.Interval',
  uuid: 'io.debezium.data.Uuid',
  json: 'io.debezium.data.Json',
  xml: 'io.debezium.data.Xml',
  ltree: 'io.debezium.data.Ltree',
  tsvector: 'io.debezium.data.Tsvector',
} as const;

/** The Avro form of a semantic type, as Debezium's connectors write it through Confluent's converter. */
export function avroOf(type: SemanticType): AvroSchema {
  switch (type.kind) {
    case 'boolean':
      return 'boolean';
    case 'int16':
      return int16;
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
    case 'date':
      return type.name === 'connect' ? connectTime('date') : named('int', 'io.debezium.time.Date');
    case 'time':
      return type.name === 'connect'
        ? connectTime('time')
        : named(type.unit === 'ms' ? 'int' : 'long', TIMES[type.unit]);
    case 'timestamp':
      return type.name === 'connect'
        ? connectTime('timestamp')
        : named('long', TIMESTAMPS[type.unit]);
    case 'zoned-timestamp':
    case 'zoned-time':
    case 'iso-date':
    case 'iso-time':
    case 'iso-timestamp':
    case 'interval':
    case 'uuid':
    case 'json':
    case 'xml':
    case 'ltree':
    case 'tsvector':
      return named('string', TEXTS[type.kind]);
    case 'micro-duration':
      return named('long', MICRO_DURATION);
    case 'enum':
      return {
        ...named('string', ENUM),
        'connect.parameters': {
          allowed: type.allowed.join(','),
          ...(type.allowed.some((label) => label.includes(','))
            ? { [LABELS]: JSON.stringify(type.allowed) }
            : {}),
        },
      };
    case 'bits':
      return { ...named('bytes', BITS), 'connect.parameters': { length: String(type.length) } };
    case 'variable-decimal':
    case 'point':
    case 'geometry':
    case 'geography':
    case 'sparse-vector':
    case 'double-vector':
    case 'float-vector':
      return FORMS[type.kind];
    case 'map':
      return { type: 'map', values: ['null', 'string'] };
    case 'array':
      return { type: 'array', items: ['null', avroOf(type.items)] };
  }
}

function connectTime(kind: keyof typeof CONNECT_TIMES): AvroSchema {
  const [type, name, logicalType] = CONNECT_TIMES[kind];
  return { ...named(type, name), logicalType };
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
  'io.debezium.time.Date': { kind: 'date' },
  [MICRO_DURATION]: { kind: 'micro-duration' },
  // Its name before Debezium 3.
  'io.debezium.data.SparseVector': { kind: 'sparse-vector' },
  [CONNECT_TIMES.date[1]]: { kind: 'date', name: 'connect' },
  [CONNECT_TIMES.time[1]]: { kind: 'time', unit: 'ms', name: 'connect' },
  [CONNECT_TIMES.timestamp[1]]: { kind: 'timestamp', unit: 'ms', name: 'connect' },
  ...Object.fromEntries(
    (Object.keys(FORMS) as (keyof typeof FORMS)[]).map((kind) => [
      FORMS[kind]['connect.name'],
      { kind },
    ]),
  ),
  ...Object.fromEntries(
    (Object.keys(TEXTS) as (keyof typeof TEXTS)[]).map((kind) => [TEXTS[kind], { kind }]),
  ),
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
  const parameters = schema['connect.parameters'];
  if (name === ENUM) return { kind: 'enum', allowed: labelsOf(parameters) };
  if (name === BITS) return { kind: 'bits', length: Number(parameters?.['length'] ?? 0) };
  if (name !== undefined && NAMED[name] !== undefined) return NAMED[name];
  if (schema.type === 'array') {
    const items = semanticOf(nonNull(schema.items));
    return items === null ? null : { kind: 'array', items };
  }
  if (schema.type === 'map') {
    const [first, second] = isUnion(schema.values) ? schema.values : [];
    return first === 'null' && second === 'string' ? { kind: 'map' } : null;
  }
  if (schema.type === 'int' && schema['connect.type'] === 'int16') return { kind: 'int16' };
  return PRIMITIVES[schema.type] ?? null;
}

function labelsOf(parameters: Readonly<Record<string, string>> | undefined): readonly string[] {
  const exact = parameters?.[LABELS];
  if (exact !== undefined) return JSON.parse(exact) as string[];
  return parameters?.['allowed']?.split(',') ?? [];
}

/** The one branch of an optional union that is not null; the schema itself if it is no union. */
export function nonNull(schema: AvroSchema): AvroSchema {
  return isUnion(schema) ? (schema.find((branch) => branch !== 'null') ?? 'null') : schema;
}
