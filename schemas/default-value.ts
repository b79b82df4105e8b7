import { isUnion, type AvroField, type AvroSchema } from './avro.ts';
import { ByteWriter } from './byte-writer.ts';
import { nonNull } from './semantic.ts';

/**
 * The default of a field as a value of its type without the null branch, in Avro's binary form; null if
 * it has none or NULL. Debezium's converter gives it as the field's `default` and as the type's
 * `connect.default`, in the JSON form of the Avro specification ("Complex Types", field defaults): bytes
 * are text of which each character is a byte.
 */
export function defaultOf(field: AvroField): Buffer | null {
  const schema = nonNull(field.type);
  const annotated =
    typeof schema === 'object' && !isUnion(schema) ? schema['connect.default'] : undefined;
  const value = annotated ?? field.default;
  if (value === undefined || value === null) return null;
  const out = new ByteWriter(64);
  return write(out, schema, value) ? Buffer.from(out.written()) : null;
}

/** False if the value is not one of the schema. */
function write(out: ByteWriter, schema: AvroSchema, value: unknown): boolean {
  if (isUnion(schema)) {
    const branch = schema.findIndex((candidate) => (candidate === 'null') === (value === null));
    const chosen = schema[branch];
    if (chosen === undefined) return false;
    out.long(branch);
    return value === null || write(out, chosen, value);
  }
  const type = typeof schema === 'string' ? schema : schema.type;
  switch (type) {
    case 'boolean':
      out.byte(value === true ? 1 : 0);
      return typeof value === 'boolean';
    case 'int':
    case 'long':
      if (!Number.isSafeInteger(value)) return false;
      out.long(value as number);
      return true;
    case 'float':
    case 'double':
      if (typeof value !== 'number') return false;
      if (type === 'float') out.float(value);
      else out.double(value);
      return true;
    case 'string':
      if (typeof value !== 'string') return false;
      out.string(value);
      return true;
    case 'bytes':
      if (typeof value !== 'string') return false;
      out.slice(Buffer.from(value, 'latin1'));
      return true;
    default:
      return typeof schema === 'object' && writeComplex(out, schema, value);
  }
}

function writeComplex(
  out: ByteWriter,
  schema: Exclude<AvroSchema, string | readonly AvroSchema[]>,
  value: unknown,
): boolean {
  if (schema.type === 'array' && 'items' in schema && Array.isArray(value)) {
    if (value.length > 0) out.long(value.length);
    const all = value.every((item: unknown) => write(out, schema.items, item));
    out.long(0);
    return all;
  }
  if (schema.type === 'record' && 'fields' in schema && typeof value === 'object') {
    const fields = value as Readonly<Record<string, unknown>> | null;
    return schema.fields.every(({ name, type }) => write(out, type, fields?.[name]));
  }
  return false;
}
