/**
 * Avro schemas as JSON, as far as Kafka Connect's Avro converter writes them. The attributes that
 * start with `connect.` carry the names of Debezium's semantic types.
 */
export type AvroSchema =
  | AvroPrimitive
  | string
  | AvroUnion
  | AvroNamed
  | AvroArray
  | AvroMap
  | AvroAnnotated;

export type AvroPrimitive =
  | 'null'
  | 'boolean'
  | 'int'
  | 'long'
  | 'float'
  | 'double'
  | 'bytes'
  | 'string';

export type AvroUnion = readonly AvroSchema[];

/** `Array.isArray` does not narrow a readonly array away. */
export function isUnion(schema: AvroSchema): schema is AvroUnion {
  return Array.isArray(schema);
}

interface Annotations {
  readonly 'connect.name'?: string;
  readonly 'connect.version'?: number;
  readonly 'connect.type'?: string;
  readonly 'connect.doc'?: string;
  readonly 'connect.default'?: unknown;
  readonly 'connect.parameters'?: Readonly<Record<string, string>>;
}

export interface AvroAnnotated extends Annotations {
  readonly type: AvroPrimitive;
  readonly logicalType?: string;
  readonly precision?: number;
  readonly scale?: number;
}

export interface AvroArray extends Annotations {
  readonly type: 'array';
  readonly items: AvroSchema;
}

export interface AvroMap extends Annotations {
  readonly type: 'map';
  readonly values: AvroSchema;
}

export interface AvroNamed extends Annotations {
  readonly type: 'record';
  readonly name: string;
  readonly namespace?: string;
  readonly fields: readonly AvroField[];
}

export interface AvroField {
  readonly name: string;
  readonly type: AvroSchema;
  readonly default?: unknown;
  /** The source's column name where Avro does not allow it as a field name. Ours, ignored by others. */
  readonly 'millrace.column'?: string;
}

/**
 * A part of a schema on its own: names of records that were defined in the parts before are replaced by
 * their definitions, and its own are added to `defined`. A record that contains itself keeps its name there.
 */
export function withDefinitions(schema: AvroSchema, defined: Map<string, AvroNamed>): AvroSchema {
  if (typeof schema === 'string') return defined.get(schema) ?? schema;
  if (isUnion(schema)) return schema.map((branch) => withDefinitions(branch, defined));
  if (schema.type === 'array') {
    return { ...schema, items: withDefinitions(schema.items, defined) };
  }
  if (schema.type === 'map') {
    return { ...schema, values: withDefinitions(schema.values, defined) };
  }
  if (schema.type !== 'record') return schema;
  const fields = schema.fields.map((field) => ({
    ...field,
    type: withDefinitions(field.type, defined),
  }));
  const whole = { ...schema, fields };
  const { name, namespace } = schema;
  defined.set(namespace === undefined ? name : `${namespace}.${name}`, whole);
  return whole;
}

/**
 * How names of the source become names that Avro allows. `avro`: other characters, and a leading digit,
 * become `_`. `avro_unicode`: they and `_` itself become `_uXXXX`, so that no two names become one.
 * `none`: they are left, and a name that Avro does not allow is refused where it is registered.
 */
export type NameAdjustment = 'none' | 'avro' | 'avro_unicode';

export function avroName(name: string, adjustment: NameAdjustment = 'avro'): string {
  switch (adjustment) {
    case 'none':
      return name;
    case 'avro_unicode':
      return name.replaceAll(/[^A-Za-z0-9]|^[0-9]/g, (character) =>
        Array.from({ length: character.length }, (_, at) => unicodeEscape(character, at)).join(''),
      );
    case 'avro': {
      const adjusted = name.replaceAll(/[^A-Za-z0-9_]/g, '_');
      return /^[0-9]/.test(adjusted) ? `_${adjusted}` : adjusted;
    }
  }
}

function unicodeEscape(text: string, at: number): string {
  return `_u${text.charCodeAt(at).toString(16).padStart(4, '0')}`;
}

export function isAvroName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

/** The same for a dotted name, part by part. */
export function avroFullName(name: string, adjustment: NameAdjustment = 'avro'): string {
  return name
    .split('.')
    .map((part) => avroName(part, adjustment))
    .join('.');
}
