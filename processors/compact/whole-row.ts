import type { RecordCursor, RecordWriter } from '../../broker/records.ts';
import { MillraceError } from '../../errors.ts';
import { WIRE_HEADER_BYTES } from '../../schemas/registry.ts';
import { EXACT, UNCHANGED } from './headers.ts';
import type { ValueSchema, ValueSchemas } from './value-schema.ts';

const DELETE = 'd'.charCodeAt(0);

/** What came of a record that did not have all of its row. */
export type Wholeness = 'whole' | 'partial' | 'schema-unknown';

/**
 * Makes rows whole: puts the columns that the source did not send into a record, from the last row
 * known, as bytes. Nothing is decoded but where columns start.
 */
export class WholeRow {
  /** After `schema-unknown`: the schema id to resolve before the record is tried again. */
  schemaWanted = 0;
  readonly #schemas: ValueSchemas;
  /** Where columns start: of the record, of the row. */
  #own = new Int32Array(64);
  #lent = new Int32Array(64);
  /** Per column of the record: 1 if it is still missing; the row's column to take, or -1. */
  #missing = new Uint8Array(64);
  #take = new Int32Array(64);
  #columns = 0;

  constructor(schemas: ValueSchemas) {
    this.#schemas = schemas;
  }

  /**
   * Writes a record that has the header `millrace.unchanged`. `row` is the
   * record whose row is the last known (its `before`, if it is a delete), null if there is none. With
   * `schema-unknown` nothing was written, nor if it throws `RECORD_MALFORMED`.
   */
  write(cursor: RecordCursor, row: RecordCursor | null, records: RecordWriter): Wholeness {
    const { position } = records.out;
    try {
      return this.#write(cursor, row, records);
    } catch (error) {
      records.out.position = position;
      throw error;
    }
  }

  #write(cursor: RecordCursor, row: RecordCursor | null, out: RecordWriter): Wholeness {
    const schema = this.#schemaOf(cursor);
    const lender = row === null ? null : this.#schemaOf(row);
    if (schema === undefined || lender === undefined) return 'schema-unknown';
    const { reader } = schema;
    reader.locate(cursor.bytes, cursor.valueStart + WIRE_HEADER_BYTES, valueEnd(cursor));
    const start = cursor.op === DELETE ? reader.beforeStart : reader.afterStart;
    const end = cursor.op === DELETE ? reader.beforeEnd : reader.afterEnd;
    cursor.findHeader(UNCHANGED);
    const listEnd = cursor.headerStart + Math.max(cursor.headerLength, 0);
    const listed = schema.columnsOf(cursor.bytes, cursor.headerStart, listEnd);
    const taken =
      row === null || lender === null || start < 0 ? 0 : this.#lend(listed, row, [schema, lender]);
    if (taken === 0 || row === null) {
      out.copy(cursor);
      return listed.length === 0 ? 'whole' : 'partial';
    }
    reader.spans(cursor.bytes, start, this.#own);
    requireOrder(this.#own, this.#columns, { start: cursor.valueStart, end });
    out.startLike(cursor);
    out.out.raw(cursor.bytes, cursor.valueStart, start);
    this.#splice(cursor, row, out);
    out.out.raw(cursor.bytes, end, valueEnd(cursor));
    out.endValue();
    const exact = this.#lentExact(cursor, row, [schema, lender as ValueSchema]);
    if (exact === null) out.headersLike(cursor, UNCHANGED);
    else {
      out.headersLike(cursor, UNCHANGED, EXACT);
      out.header(EXACT, exact);
    }
    const whole = taken === listed.length;
    if (!whole) out.header(UNCHANGED, schema.listOf(this.#missing));
    out.finish();
    return whole ? 'whole' : 'partial';
  }

  /** The record's header `millrace.exact` with what the row says of the columns it lends; null if it says nothing. */
  #lentExact(
    cursor: RecordCursor,
    row: RecordCursor,
    [schema, lender]: readonly [ValueSchema, ValueSchema],
  ): Buffer | null {
    const theirs = exactOf(row)?.[imageOf(row)];
    if (theirs === undefined) return null;
    const image = imageOf(cursor);
    const own = exactOf(cursor) ?? {};
    const merged = [...(own[image] ?? [])];
    for (const [column, { name }] of schema.reader.columns.entries()) {
      const lending = this.#take[column] as number;
      if (lending < 0) continue;
      const lent = lender.reader.columns[lending]?.name;
      const found = theirs.find(([column]) => column === lent);
      if (found !== undefined) merged.push([name, found[1]]);
    }
    return Buffer.from(JSON.stringify({ ...own, [image]: merged }));
  }

  /** Decides which of the listed columns the row can give; the number of them. */
  #lend(
    listed: Int32Array,
    row: RecordCursor,
    schemas: readonly [ValueSchema, ValueSchema],
  ): number {
    const [schema, lender] = schemas;
    const { reader } = lender;
    reader.locate(row.bytes, row.valueStart + WIRE_HEADER_BYTES, valueEnd(row));
    const start = row.op === DELETE ? reader.beforeStart : reader.afterStart;
    if (start < 0) return 0;
    this.#columns = schema.reader.columns.length;
    this.#fit(Math.max(this.#columns, reader.columns.length));
    reader.spans(row.bytes, start, this.#lent);
    const end = row.op === DELETE ? reader.beforeEnd : reader.afterEnd;
    requireOrder(this.#lent, reader.columns.length, { start: row.valueStart, end });
    this.#missing.fill(0);
    this.#take.fill(-1);
    const mapping = schema === lender ? null : schema.mappingFrom(lender);
    const unknown = row.findHeader(UNCHANGED)
      ? lender.columnsOf(row.bytes, row.headerStart, row.headerStart + row.headerLength)
      : null;
    let taken = 0;
    for (const column of listed) {
      const from = mapping === null ? column : (mapping[column] as number);
      if (from < 0 || unknown?.includes(from) === true) this.#missing[column] = 1;
      else {
        this.#take[column] = from;
        taken++;
      }
    }
    return taken;
  }

  /** Writes the image column by column, those that follow each other in one piece. */
  #splice(cursor: RecordCursor, row: RecordCursor, out: RecordWriter): void {
    const own = this.#own;
    const lent = this.#lent;
    const take = this.#take;
    let from = own[0] as number;
    for (let column = 0; column < this.#columns; column++) {
      const lending = take[column] as number;
      if (lending < 0) continue;
      out.out.raw(cursor.bytes, from, own[column]);
      out.out.raw(row.bytes, lent[lending], lent[lending + 1]);
      from = own[column + 1] as number;
    }
    out.out.raw(cursor.bytes, from, own[this.#columns]);
  }

  #fit(columns: number): void {
    if (this.#own.length > columns) return;
    this.#own = new Int32Array(2 * columns);
    this.#lent = new Int32Array(2 * columns);
    this.#missing = new Uint8Array(2 * columns);
    this.#take = new Int32Array(2 * columns);
  }

  #schemaOf(record: RecordCursor): ValueSchema | undefined {
    const id = schemaIdOf(record);
    const schema = this.#schemas.get(id);
    if (schema === undefined) this.schemaWanted = id;
    return schema;
  }
}

/** Lengths in a damaged value may lead back: then nothing in it is where it seems to be. */
function requireOrder(
  spans: Int32Array,
  columns: number,
  { start, end }: { readonly start: number; readonly end: number },
): void {
  let before = start;
  for (let column = 0; column <= columns; column++) {
    const at = spans[column] as number;
    if (at < before) throw malformed();
    before = at;
  }
  if (before !== end) throw malformed();
}

function malformed(): MillraceError {
  return new MillraceError('RECORD_MALFORMED', 'the columns of a row are not in their order');
}

function imageOf({ op }: RecordCursor): string {
  return op === DELETE ? 'before' : 'after';
}

type Exact = Record<string, [column: string, text: string][]>;

function exactOf(record: RecordCursor): Exact | null {
  if (!record.findHeader(EXACT)) return null;
  const { bytes, headerStart, headerLength } = record;
  const text = bytes.toString('utf8', headerStart, headerStart + Math.max(headerLength, 0));
  try {
    const exact: unknown = JSON.parse(text);
    const isExact = typeof exact === 'object' && exact !== null;
    if (isExact && Object.values(exact).every(Array.isArray)) return exact as Exact;
  } catch {
    // What follows is thrown for any other JSON too.
  }
  throw new MillraceError(
    'RECORD_MALFORMED',
    'what a record says of inexact values cannot be read',
    {
      expected: 'header millrace.exact: a JSON object, by image pairs of column and text',
    },
  );
}

function schemaIdOf({ bytes, valueStart, valueLength }: RecordCursor): number {
  if (valueLength < WIRE_HEADER_BYTES || bytes[valueStart] !== 0) {
    throw new MillraceError('RECORD_MALFORMED', 'a value is not in the Confluent wire format', {
      expected: 'a zero byte and a schema id of 4 bytes',
    });
  }
  return bytes.readUInt32BE(valueStart + 1);
}

function valueEnd({ valueStart, valueLength }: RecordCursor): number {
  return valueStart + valueLength;
}
