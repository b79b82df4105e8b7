import {
  avroFullName,
  avroName,
  isUnion,
  type AvroField,
  type AvroNamed,
  type AvroPrimitive,
  type AvroSchema,
  type NameAdjustment,
} from './avro.ts';
import { avroOf, type SemanticType } from './semantic.ts';
import { transactionBlock } from './transaction.ts';

/** A table as it appears on topics: what the key and value schemas are made of. */
export interface TableShape {
  /** Name of the raw topic; also the namespace of the schemas. */
  readonly topic: string;
  readonly columns: readonly ColumnShape[];
  /** Names of the key columns in key order; empty for a table without a key. */
  readonly key: readonly string[];
  /** Default `avro`. */
  readonly names?: NameAdjustment;
}

export interface ColumnShape {
  readonly name: string;
  readonly type: SemanticType;
  readonly optional: boolean;
  /** The source's default as the JSON that Avro has for it; undefined if there is none. */
  readonly default?: unknown;
}

const optional = (type: AvroSchema): AvroSchema => ['null', type];
const optionalField = (name: string, type: AvroSchema): AvroField => ({
  name,
  type: optional(type),
  default: null,
});

/** `source` of Debezium's common part; a connector adds its own fields after `ts_ns`. */
export function sourceSchema(connector: string, own: readonly AvroField[]): AvroNamed {
  const allowed =
    'true,first,first_in_data_collection,last_in_data_collection,last,false,incremental';
  return {
    type: 'record',
    name: 'Source',
    namespace: `io.debezium.connector.${connector}`,
    fields: [
      { name: 'version', type: 'string' },
      { name: 'connector', type: 'string' },
      { name: 'name', type: 'string' },
      { name: 'ts_ms', type: 'long' },
      {
        name: 'snapshot',
        type: [
          {
            type: 'string',
            'connect.version': 1,
            'connect.parameters': { allowed },
            'connect.default': 'false',
            'connect.name': 'io.debezium.data.Enum',
          },
          'null',
        ],
        default: 'false',
      },
      { name: 'db', type: 'string' },
      optionalField('sequence', 'string'),
      optionalField('ts_us', 'long'),
      optionalField('ts_ns', 'long'),
      ...own,
    ],
    'connect.version': 1,
    'connect.name': `io.debezium.connector.${connector}.Source`,
  };
}

/** The value schema: Debezium's envelope, version 2. `after` refers to the `Value` that `before` defines. */
export function envelopeSchema(table: TableShape, source: AvroNamed): AvroNamed {
  const namespace = avroFullName(table.topic, table.names);
  const value: AvroNamed = {
    type: 'record',
    name: 'Value',
    fields: columnFields(table.columns, table.names),
    'connect.name': `${namespace}.Value`,
  };
  return {
    type: 'record',
    name: 'Envelope',
    namespace,
    fields: [
      optionalField('before', value),
      optionalField('after', 'Value'),
      { name: 'source', type: source },
      optionalField('transaction', transactionBlock),
      { name: 'op', type: 'string' },
      optionalField('ts_ms', 'long'),
      optionalField('ts_us', 'long'),
      optionalField('ts_ns', 'long'),
    ],
    'connect.version': 2,
    'connect.name': `${namespace}.Envelope`,
  };
}

/** The key schema; null for a table without a key. */
export function keySchema(table: TableShape): AvroNamed | null {
  if (table.key.length === 0) return null;
  const namespace = avroFullName(table.topic, table.names);
  const columns = table.key.map((name) => {
    const column = table.columns.find((candidate) => candidate.name === name);
    if (column === undefined)
      throw new Error(`key column ${name} is not a column of ${table.topic}`);
    return column;
  });
  return {
    type: 'record',
    name: 'Key',
    namespace,
    fields: columnFields(columns, table.names),
    'connect.name': `${namespace}.Key`,
  };
}

/**
 * Avro defines a named type at its first use and refers to it by name after that, so the second
 * column of such a type must name it.
 */
function columnFields(columns: readonly ColumnShape[], names?: NameAdjustment): AvroField[] {
  const defined = new Set<string>();
  const once = (schema: AvroSchema): AvroSchema => {
    if (typeof schema === 'string') return schema;
    if (isUnion(schema)) return schema.map(once);
    if (schema.type === 'array') return { ...schema, items: once(schema.items) };
    if (schema.type !== 'record') return schema;
    const fullName = `${schema.namespace}.${schema.name}`;
    if (defined.has(fullName)) return fullName;
    defined.add(fullName);
    return schema;
  };
  return columns.map((column): AvroField => {
    const type = once(avroOf(column.type));
    const name = avroName(column.name, names);
    const alias = name === column.name ? {} : { 'millrace.column': column.name };
    const { default: value } = column;
    if (value !== undefined) {
      const annotated = withDefault(type, value);
      // Avro: the default of a union is one of its first branch.
      const union: AvroSchema = column.optional ? [annotated, 'null'] : annotated;
      return { name, type: union, default: value, ...alias };
    }
    return column.optional
      ? { name, type: optional(type), default: null, ...alias }
      : { name, type, ...alias };
  });
}

/** With the attribute in which Connect's converter looks for the default. */
function withDefault(type: AvroSchema, value: unknown): AvroSchema {
  if (isUnion(type)) return type;
  if (typeof type === 'string') {
    // A type that was defined before can only be named.
    return type.includes('.') ? type : { type: type as AvroPrimitive, 'connect.default': value };
  }
  return { ...type, 'connect.default': value };
}
