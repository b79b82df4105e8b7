import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  isUnion,
  withDefinitions,
  type AvroField,
  type AvroNamed,
  type AvroSchema,
} from '../../schemas/avro.ts';
import { nonNull } from '../../schemas/semantic.ts';
import { avroType } from './recorded-stream.ts';

/** Records that a real Debezium 3.7 wrote, and those of ours beside them, in one form. */
export const golden = join(import.meta.dirname, '../golden/postgres');

/** A column of a key or a row: its schema, and its value as {@link shown} has it. */
export interface GoldenField {
  /** The source's name, where Avro does not allow it. */
  readonly column: string;
  readonly schema: AvroSchema;
  /** The schema as it stands in the record's. */
  readonly field: AvroField;
  readonly text: string;
}

export type GoldenRow = ReadonlyMap<string, GoldenField>;

export interface GoldenRecord {
  readonly topic: string;
  readonly op: string | null;
  readonly key: GoldenRow | null;
  readonly before: GoldenRow | null;
  readonly after: GoldenRow | null;
  readonly lsn: bigint;
  readonly headers: Readonly<Record<string, string>>;
}

interface Part {
  readonly schema: AvroSchema;
  readonly value: unknown;
}

/** Lines as they were recorded; numbers are {@link NumberText}, so that none of their digits is lost. */
export function linesOf(name: string): readonly GoldenLine[] {
  return readFileSync(join(golden, name), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line, keepNumber as (name: string, value: unknown) => unknown));
}

export interface GoldenLine {
  readonly topic: string;
  readonly key: unknown;
  readonly value: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

export class NumberText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

function keepNumber(_: string, value: unknown, { source }: { source: string }): unknown {
  return typeof value === 'number' ? new NumberText(source) : value;
}

/** A record of Avro, ours or theirs. */
export function rowsOf(
  topic: string,
  key: Part | null,
  value: Part | null,
): Omit<GoldenRecord, 'headers'> {
  const envelope = (value?.value ?? null) as Record<string, unknown> | null;
  const row = value === null ? null : rowSchema(value.schema);
  const image = (name: string): GoldenRow | null =>
    envelope?.[name] == null ? null : fieldsOf(row, envelope[name]);
  return {
    topic,
    op: envelope === null ? null : String(envelope['op']),
    key: key === null ? null : fieldsOf(key.schema as AvroNamed, key.value),
    before: image('before'),
    after: image('after'),
    lsn: (envelope?.['source'] as { lsn?: bigint } | null)?.lsn ?? 0n,
  };
}

/** The record of a row in an envelope. */
export function rowSchema(envelope: AvroSchema): AvroNamed {
  const [before] = (envelope as AvroNamed).fields;
  return nonNull(before!.type) as AvroNamed;
}

export function fieldsOf(schema: AvroNamed | null, row: unknown): GoldenRow {
  const defined = new Map<string, AvroNamed>();
  return new Map(
    schema?.fields.map((field) => {
      const own = withDefinitions(field.type, defined);
      const value = (row as Record<string, unknown>)[field.name];
      const column = field['millrace.column'] ?? field.name;
      return [field.name, { column, schema: own, field, text: shown(own, value) }];
    }),
  );
}

/** The records of the Avro set. */
export function avroRecords(): GoldenRecord[] {
  // A part of a name that begins with a digit is not valid, and avsc does not read it.
  const text = readFileSync(join(golden, 'avro-schemas.json'), 'utf8');
  const { schemas } = JSON.parse(text.replaceAll('Weird_Table.1', 'Weird_Table._1')) as {
    schemas: Record<string, AvroSchema>;
  };
  const part = (hex: unknown): Part | null => {
    if (hex === null) return null;
    const wire = Buffer.from(hex as string, 'hex');
    const schema = schemas[wire.readUInt32BE(1)]!;
    return { schema, value: avroType(schema).fromBuffer(wire.subarray(5)) };
  };
  return linesOf('avro.jsonl').map(({ topic, key, value, headers }) => ({
    ...rowsOf(topic, part(key), part(value)),
    headers,
  }));
}

/**
 * A value as text to compare: JSON, floats of single precision as such, bytes as base64, all digits of
 * whole numbers. Of JSON without a schema the schema of ours says what its numbers are.
 */
export function shown(schema: AvroSchema, value: unknown): string {
  return JSON.stringify(plain(schema, value));
}

function plain(schema: AvroSchema, value: unknown): unknown {
  if (value === null || value === undefined) return null;
  if (isUnion(schema)) return plain(nonNull(schema), value);
  const type = typeof schema === 'string' ? schema : schema.type;
  if (value instanceof NumberText || typeof value === 'number' || typeof value === 'bigint') {
    return numberOf(type, value instanceof NumberText ? value.text : value);
  }
  if (Buffer.isBuffer(value)) return value.toString('base64');
  if (Array.isArray(value)) {
    const items = typeof schema === 'object' && 'items' in schema ? schema.items : 'null';
    return value.map((item) => plain(items, item));
  }
  if (typeof value !== 'object') return value;
  const fields = typeof schema === 'object' && 'fields' in schema ? schema.fields : [];
  const values = typeof schema === 'object' && 'values' in schema ? schema.values : 'null';
  const entries = Object.entries(value).map(([name, each]) => {
    const field = fields.find((candidate) => candidate.name === name);
    return [name, plain(field?.type ?? values, each)] as const;
  });
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function numberOf(type: string, value: number | bigint | string): string {
  if (type === 'int' || type === 'long') {
    return typeof value === 'string' && /[.eE]/.test(value) ? value : String(BigInt(value));
  }
  const number = type === 'float' ? Math.fround(Number(value)) : Number(value);
  return Object.is(number, -0) ? '-0' : String(number);
}
