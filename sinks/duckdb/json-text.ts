import { MillraceError } from '../../errors.ts';
import { isUnion, type AvroNamed, type AvroSchema } from '../../schemas/avro.ts';
import type { ByteReader } from '../../schemas/byte-reader.ts';

export type JsonText = (reader: ByteReader) => string;

/**
 * How a value of any Avro schema reads as JSON text: records and maps as objects, bytes as base64, 64-bit
 * integers with all their digits. For columns whose semantic type we do not know.
 */
export function jsonText(schema: AvroSchema, named = new Map<string, JsonText>()): JsonText {
  if (typeof schema === 'string') return named.get(schema) ?? primitiveText(schema);
  if (isUnion(schema)) {
    const branches = schema.map((branch) => jsonText(branch, named));
    return (reader) => (branches[reader.long()] ?? noBranch)(reader);
  }
  switch (schema.type) {
    case 'record':
      return recordText(schema, named);
    case 'array': {
      const entry = entryText(schema.items, named);
      if (entry !== null) return (reader) => `{${blocks(reader, entry).join(',')}}`;
      const item = jsonText(schema.items, named);
      return (reader) => `[${blocks(reader, item).join(',')}]`;
    }
    case 'map': {
      const value = jsonText(schema.values, named);
      const entry: JsonText = (reader) => `${JSON.stringify(reader.string())}:${value(reader)}`;
      return (reader) => `{${blocks(reader, entry).join(',')}}`;
    }
    case 'null':
    case 'boolean':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'bytes':
    case 'string':
      return primitiveText(schema.type);
  }
}

/**
 * An entry of a map with keys that are no text, which Connect's converter writes as an array of records;
 * null if the items are something else.
 */
function entryText(items: AvroSchema, named: Map<string, JsonText>): JsonText | null {
  if (typeof items === 'string' || isUnion(items)) return null;
  if (items.type !== 'record' || items.name !== 'MapEntry') return null;
  const [key, value] = items.fields.map((field) => jsonText(field.type, named));
  if (key === undefined || value === undefined) return null;
  return (reader) => {
    const name = key(reader);
    return `${name.startsWith('"') ? name : `"${name}"`}:${value(reader)}`;
  };
}

const noBranch = (): never => {
  throw new MillraceError('RECORD_MALFORMED', 'a union names no branch');
};

/** JSON has no NaN and no infinity: they are text. */
const numberText = (value: number): string => {
  if (Object.is(value, -0)) return '-0.0';
  return Number.isFinite(value) ? String(value) : JSON.stringify(String(value));
};

function primitiveText(name: string): JsonText {
  switch (name) {
    case 'null':
      return () => 'null';
    case 'boolean':
      return (reader) => String(reader.boolean());
    case 'int':
    case 'long':
      return (reader) => String(reader.bigint());
    case 'float':
      return (reader) => numberText(reader.float());
    case 'double':
      return (reader) => numberText(reader.double());
    case 'bytes':
      return (reader) => JSON.stringify(reader.slice().toString('base64'));
    case 'string':
      return (reader) => JSON.stringify(reader.string());
    default:
      throw new MillraceError('RECORD_MALFORMED', `an Avro schema uses the unknown type ${name}`);
  }
}

function recordText(schema: AvroNamed, named: Map<string, JsonText>): JsonText {
  const fields: (readonly [string, JsonText])[] = [];
  const text: JsonText = (reader) =>
    `{${fields.map(([name, value]) => `${name}:${value(reader)}`).join(',')}}`;
  named.set(schema.name, text);
  if (schema.namespace !== undefined) named.set(`${schema.namespace}.${schema.name}`, text);
  for (const field of schema.fields) {
    const name = JSON.stringify(field['millrace.column'] ?? field.name);
    fields.push([name, jsonText(field.type, named)]);
  }
  return text;
}

function blocks(reader: ByteReader, item: JsonText): string[] {
  const items: string[] = [];
  for (let count = reader.long(); count !== 0; count = reader.long()) {
    if (count < 0) reader.skipLong();
    for (let left = Math.abs(count); left > 0; left--) {
      items.push(item(reader));
      if (!(reader.position <= reader.bytes.length)) {
        throw new MillraceError('RECORD_MALFORMED', 'a row ends before its columns do');
      }
    }
  }
  return items;
}
