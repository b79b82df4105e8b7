import { MillraceError } from '../errors.ts';
import {
  isUnion,
  withDefinitions,
  type AvroField,
  type AvroNamed,
  type AvroSchema,
} from './avro.ts';
import { ByteReader } from './byte-reader.ts';
import { defaultOf } from './default-value.ts';
import { nonNull, semanticOf, type SemanticType } from './semantic.ts';
import { compileSkip, type Skip } from './skip.ts';

/** A column of `before` and `after`, as a reader of the topic sees it. */
export interface EnvelopeColumn {
  /** The source's name. */
  readonly name: string;
  readonly optional: boolean;
  /** Index of the null branch of its union; -1 if it is not optional. */
  readonly nullBranch: number;
  /** Without the null branch. */
  readonly schema: AvroSchema;
  /** Null where we know no semantic type: then only the Avro shape is known. */
  readonly type: SemanticType | null;
  /** Of rows that were there before the column, as a value of `schema` in Avro; null for NULL. */
  readonly fill: Buffer | null;
}

/** The columns that the fields of a row or a key are. */
export function columnsOf(fields: readonly AvroField[]): EnvelopeColumn[] {
  const defined = new Map<string, AvroNamed>();
  return fields.map((field) => {
    const schema = withDefinitions(nonNull(field.type), defined);
    return {
      name: field['millrace.column'] ?? field.name,
      optional: isUnion(field.type),
      nullBranch: isUnion(field.type) ? field.type.indexOf('null') : -1,
      schema,
      type: semanticOf(schema),
      fill: defaultOf({ ...field, type: schema }),
    };
  });
}

/**
 * Finds the parts of an envelope in its bytes, without decoding what nobody asked for. One reader per
 * value schema; it is made for a batch: `locate` overwrites the fields.
 *
 * Positions are absolute in the buffer given. A row starts after its union branch, at the first column.
 */
export class EnvelopeReader {
  readonly columns: readonly EnvelopeColumn[];
  /** Where the row images are; start -1 if there is none. */
  beforeStart = -1;
  beforeEnd = -1;
  afterStart = -1;
  afterEnd = -1;
  sourceStart = -1;
  /** `source.ts_ms`: commit time in the source, ms. */
  committedAt = 0;
  /** ASCII code of Debezium's letter. */
  op = 0;
  readonly #reader = new ByteReader();
  readonly #skipColumns: readonly Skip[];
  readonly #beforeSource: readonly Skip[];
  readonly #afterSource: readonly Skip[];
  readonly #skipTransaction: Skip;

  constructor(schema: AvroSchema) {
    const fields = fieldsOf(schema);
    const names = fields.map((field) => field.name).slice(0, 5);
    if (names.join() !== 'before,after,source,transaction,op') {
      throw new MillraceError('RECORD_MALFORMED', 'the value schema is not a Debezium envelope', {
        expected: 'fields before, after, source, transaction, op',
      });
    }
    const [before, , source, transaction] = fields.map((field) => field.type);
    const row = nonNull(before as AvroSchema) as AvroNamed;
    this.columns = columnsOf(row.fields);
    const named = new Map<string, Skip>();
    this.#skipColumns = row.fields.map((field) => compileSkip(field.type, named));
    const sourceFields = (source as AvroNamed).fields;
    const commit = sourceFields.findIndex((field) => field.name === 'ts_ms');
    const skips = sourceFields.map((field) => compileSkip(field.type, named));
    this.#beforeSource = skips.slice(0, commit);
    this.#afterSource = skips.slice(commit + 1);
    this.#skipTransaction = compileSkip(transaction as AvroSchema, named);
  }

  /** Locates the parts of the envelope in `bytes[start, end)`; `start` is after the wire header. */
  locate(bytes: Buffer, start: number, end: number): void {
    const reader = this.#reader.at(bytes, start);
    this.beforeStart = this.#row(reader);
    this.beforeEnd = reader.position;
    this.afterStart = this.#row(reader);
    this.afterEnd = reader.position;
    this.sourceStart = reader.position;
    for (const skip of this.#beforeSource) skip(reader);
    this.committedAt = reader.long();
    for (const skip of this.#afterSource) skip(reader);
    this.#skipTransaction(reader);
    // A string of one letter: its length, then the letter.
    this.op = bytes[reader.position + 1] as number;
    if (!(reader.position + 2 <= end)) {
      throw new MillraceError('RECORD_MALFORMED', 'an envelope ends before its fields do');
    }
  }

  /** Writes where each column of the row starts into `spans`, and the row's end after the last one. */
  spans(bytes: Buffer, rowStart: number, spans: Int32Array): void {
    const reader = this.#reader.at(bytes, rowStart);
    const skips = this.#skipColumns;
    for (let column = 0; column < skips.length; column++) {
      spans[column] = reader.position;
      (skips[column] as Skip)(reader);
    }
    spans[skips.length] = reader.position;
  }

  #row(reader: ByteReader): number {
    if (reader.long() === 0) return -1;
    const start = reader.position;
    for (const skip of this.#skipColumns) skip(reader);
    return start;
  }
}

function fieldsOf(schema: AvroSchema): AvroNamed['fields'] {
  return typeof schema === 'object' && 'fields' in schema ? schema.fields : [];
}
