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

/** A name that Avro allows: other characters, and a leading digit, become `_` (Debezium's `avro` adjustment). */
export function avroName(name: string): string {
  const adjusted = name.replaceAll(/[^A-Za-z0-9_]/g, '_');
  return /^[0-9]/.test(adjusted) ? `_${adjusted}` : adjusted;
}

/** The same for a dotted name, part by part. */
export function avroFullName(name: string): string {
  return name.split('.').map(avroName).join('.');
}
