import { isUnion, type AvroField, type AvroSchema } from '../../schemas/avro.ts';
import { nonNull } from '../../schemas/semantic.ts';

/** A schema of Kafka Connect, as its JSON converter writes it. */
export type ConnectSchema = Readonly<Record<string, unknown>>;

const PRIMITIVES: Readonly<Record<string, string>> = {
  int: 'int32',
  long: 'int64',
  float: 'float',
  double: 'double',
  boolean: 'boolean',
  string: 'string',
  bytes: 'bytes',
};

/** What Kafka Connect reads from a field's Avro schema (Confluent's AvroData). */
export function connectField(field: AvroField, schema: AvroSchema): ConnectSchema {
  return { ...connectSchema(schema), field: field['millrace.column'] ?? field.name };
}

function connectSchema(schema: AvroSchema): ConnectSchema {
  const optional = isUnion(schema);
  const inner = nonNull(schema);
  if (typeof inner === 'string') return { type: PRIMITIVES[inner] ?? inner, optional };
  if (isUnion(inner)) return { type: 'union', optional };
  const known = {
    optional,
    ...(inner['connect.name'] === undefined ? {} : { name: inner['connect.name'] }),
    ...(inner['connect.version'] === undefined ? {} : { version: inner['connect.version'] }),
    ...(inner['connect.doc'] === undefined ? {} : { doc: inner['connect.doc'] }),
    ...(inner['connect.parameters'] === undefined
      ? {}
      : { parameters: inner['connect.parameters'] }),
    ...(inner['connect.default'] === undefined
      ? {}
      : { default: defaultOf(inner.type, inner['connect.default']) }),
  };
  switch (inner.type) {
    case 'record':
      return {
        type: 'struct',
        ...known,
        fields: inner.fields.map((field) => connectField(field, field.type)),
      };
    case 'array':
      return { type: 'array', ...known, items: connectSchema(inner.items) };
    case 'map':
      return {
        type: 'map',
        ...known,
        keys: { type: 'string', optional: false },
        values: connectSchema(inner.values),
      };
    case 'null':
    case 'boolean':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'bytes':
    case 'string':
      return { type: inner['connect.type'] ?? PRIMITIVES[inner.type] ?? inner.type, ...known };
  }
}

/** In Avro a default of bytes is text of their code points; Connect has base64. */
const defaultOf = (type: string, value: unknown): unknown =>
  type === 'bytes' ? Buffer.from(value as string, 'latin1').toString('base64') : value;
