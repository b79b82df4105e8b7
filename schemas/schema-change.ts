import type { AvroField, AvroNamed, AvroSchema } from './avro.ts';

const NAMESPACE = 'io.debezium.connector.schema';

const record = (name: string, fields: readonly AvroField[]): AvroNamed => ({
  type: 'record',
  name,
  namespace: NAMESPACE,
  fields,
  'connect.version': 1,
  'connect.name': `${NAMESPACE}.${name}`,
});

const field = (name: string, type: AvroSchema): AvroField => ({ name, type });
const optional = (name: string, type: AvroSchema): AvroField => ({
  name,
  type: ['null', type],
  default: null,
});

const column = record('Column', [
  field('name', 'string'),
  field('jdbcType', 'int'),
  optional('nativeType', 'int'),
  field('typeName', 'string'),
  optional('typeExpression', 'string'),
  optional('charsetName', 'string'),
  optional('length', 'int'),
  optional('scale', 'int'),
  field('position', 'int'),
  optional('optional', 'boolean'),
  optional('autoIncremented', 'boolean'),
  optional('generated', 'boolean'),
  optional('comment', 'string'),
  optional('defaultValueExpression', 'string'),
  optional('enumValues', { type: 'array', items: 'string' }),
]);

const attribute = record('Attribute', [field('name', 'string'), optional('value', 'string')]);

const table = record('Table', [
  optional('defaultCharsetName', 'string'),
  optional('primaryKeyColumnNames', { type: 'array', items: 'string' }),
  field('columns', { type: 'array', items: column }),
  optional('comment', 'string'),
  optional('attributes', { type: 'array', items: attribute }),
]);

const change = record('Change', [
  field('type', 'string'),
  field('id', 'string'),
  optional('table', table),
]);

/** Key of a schema-change topic, which is named after the prefix alone. */
export function schemaChangeKey(connector: string): AvroNamed {
  return own(connector, 'SchemaChangeKey', [field('databaseName', 'string')]);
}

/** Its value, as Debezium's connectors with a schema history write it. */
export function schemaChangeValue(connector: string, source: AvroNamed): AvroNamed {
  return own(connector, 'SchemaChangeValue', [
    field('source', source),
    field('ts_ms', 'long'),
    optional('databaseName', 'string'),
    optional('schemaName', 'string'),
    optional('ddl', 'string'),
    field('tableChanges', { type: 'array', items: change }),
  ]);
}

function own(connector: string, name: string, fields: readonly AvroField[]): AvroNamed {
  const namespace = `io.debezium.connector.${connector}`;
  return { ...record(name, fields), namespace, 'connect.name': `${namespace}.${name}` };
}
