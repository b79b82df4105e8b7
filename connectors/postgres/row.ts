import { ByteWriter } from '../../schemas/byte-writer.ts';
import type { SemanticType } from '../../schemas/semantic.ts';
import { columnForms, type ColumnForm } from './column-form.ts';
import type { PgTable } from './table.ts';
import { BINARY, NULL, UNCHANGED, type Tuple } from './tuple.ts';
import type { TypeModes } from './types/modes.ts';
import { EXACTNESS, inexact, type Cell, type TypeCodec } from './types/type-codec.ts';
import { MillraceError } from '../../errors.ts';

/** What Debezium writes where the source did not send a value that lies out of line. */
export const UNAVAILABLE = '__debezium_unavailable_value';

/** Which row of a record an image is. */
export type Image = 'before' | 'after';

interface RowColumn {
  readonly name: string;
  readonly codec: TypeCodec;
  readonly optional: boolean;
  /** The union's branches, as Avro writes their numbers. */
  readonly valueBranch: number;
  readonly nullBranch: number;
  readonly excluded: boolean;
  /** Written where an old row has only its identity: null, or the type's zero if null is not allowed. */
  readonly absent: Buffer;
  /** Written for an unchanged TOAST value. */
  readonly placeholder: Buffer;
}

/** Writes rows of one table as its Avro `Value`. */
export class Row {
  readonly #columns: readonly RowColumn[];
  readonly #required: readonly number[];
  readonly #cell: Cell = { bytes: Buffer.alloc(0), start: 0, end: 0 };
  /** The column being written, for the place of an error. */
  #at = 0;
  /** Indexes of the columns that were not sent. */
  readonly #missing: Int32Array;
  #missingCount = 0;
  #missingBefore: Int32Array = new Int32Array(0);
  #missingNames: Buffer = Buffer.alloc(0);
  /** Text of the values that their types cannot say, by image and column; null if there is none. */
  #exact: Partial<Record<Image, [column: string, text: string][]>> | null = null;
  /** The image being written. */
  image: Image = 'after';

  constructor(table: PgTable, modes: TypeModes) {
    const { columns } = table;
    this.#columns = columnForms(table, modes).map(rowColumn);
    this.#missing = new Int32Array(columns.length);
    this.#required = columns.flatMap((column, index) =>
      column.optional || column.rule?.kind === 'exclude' ? [] : [index],
    );
  }

  /** False if a column is null that may not be: the table is not as its schema says. */
  fits(tuple: Tuple): boolean {
    for (const index of this.#required) if (tuple.kinds[index] === NULL) return false;
    return true;
  }

  /** Forgets which columns were missing or inexact; to be called before each record. */
  start(): void {
    this.#missingCount = 0;
    this.#exact = null;
  }

  /**
   * Writes all columns. Values that did not change and were not sent are taken from `older` if it has
   * them; else they count as missing.
   */
  write(tuple: Tuple, older: Tuple | null, out: ByteWriter): void {
    const columns = this.#columns;
    const cell = this.#cell;
    this.#expect(tuple.count);
    for (let i = 0; i < columns.length; i++) {
      const column = columns[i] as RowColumn;
      if (column.excluded) continue;
      this.#at = i;
      let from = tuple;
      let kind = tuple.kinds[i];
      if (kind === UNCHANGED && older !== null && (older.full || older.kinds[i] !== NULL)) {
        from = older;
        kind = older.kinds[i];
      }
      if (kind === NULL && from.full) out.byte(column.nullBranch);
      else if (kind === NULL || kind === UNCHANGED) {
        this.#missing[this.#missingCount++] = i;
        out.raw(kind === NULL ? column.absent : column.placeholder);
      } else {
        const at = out.position;
        if (column.optional) out.byte(column.valueBranch);
        cell.bytes = from.bytes;
        cell.start = from.starts[i] as number;
        cell.end = from.ends[i] as number;
        if (kind === BINARY) column.codec.binary(cell, out);
        else column.codec.text(cell, out);
        if (inexact.exactness !== EXACTNESS.exact) this.#tell(column, at, out);
      }
    }
  }

  /** Keeps the text of a value that its bytes do not say; a placeholder gives way to null. */
  #tell(column: RowColumn, at: number, out: ByteWriter): void {
    if (column.optional && inexact.exactness !== EXACTNESS.approximate) {
      out.position = at;
      out.byte(column.nullBranch);
    }
    inexact.exactness = EXACTNESS.exact;
    this.#exact ??= {};
    (this.#exact[this.image] ??= []).push([column.name, inexact.text]);
  }

  /** What the header `millrace.exact` says of the record since `start`; null if all values are exact. */
  exact(key: readonly (readonly [column: string, text: string])[] | null): Buffer | null {
    if (this.#exact === null && key === null) return null;
    return Buffer.from(JSON.stringify({ ...(key === null ? {} : { key }), ...this.#exact }));
  }

  /** The JSON array of the columns that were missing since `start`; null if none was. */
  missing(): Buffer | null {
    if (this.#missingCount === 0) return null;
    const missing = this.#missing.subarray(0, this.#missingCount);
    // Neighbours in a stream mostly lack the same columns.
    if (!equal(missing, this.#missingBefore)) {
      this.#missingBefore = missing.slice();
      const names = Array.from(missing, (index) => this.#columns[index]?.name);
      this.#missingNames = Buffer.from(JSON.stringify(names));
    }
    return this.#missingNames;
  }

  /** The error with the place where it happened: the column being written, if none is given. */
  locate(error: unknown, table: string, column?: string): unknown {
    if (!(error instanceof MillraceError) || error.place !== undefined) return error;
    const { code, message, expected, remedy, cause } = error;
    return new MillraceError(code, message, {
      place: `${table}, column ${column ?? this.#columns[this.#at]?.name}`,
      remedy,
      cause,
      ...(expected === undefined ? {} : { expected }),
    });
  }

  #expect(count: number): void {
    if (count === this.#columns.length) return;
    throw new MillraceError('PROTOCOL_UNEXPECTED', `A row has ${count} columns.`, {
      expected: `${this.#columns.length} columns`,
    });
  }
}

function equal(left: Int32Array, right: Int32Array): boolean {
  if (left.length !== right.length) return false;
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return false;
  return true;
}

function rowColumn(form: ColumnForm): RowColumn {
  const { name, codec, optional, excluded } = form;
  // The branch of the default comes first.
  const [valueBranch, nullBranch] = form.default === undefined ? [2, 0] : [0, 2];
  const zero = encoded((out) => writeZero(codec.semantic, out));
  const text = TEXT_LIKE.has(codec.semantic.kind)
    ? encoded((out) => out.string(UNAVAILABLE))
    : null;
  const absent = optional ? Buffer.of(nullBranch) : zero;
  const given = optional && text !== null ? Buffer.concat([Buffer.of(valueBranch), text]) : text;
  const placeholder = given ?? absent;
  return { name, codec, optional, excluded, valueBranch, nullBranch, absent, placeholder };
}

const TEXT_LIKE: ReadonlySet<SemanticType['kind']> = new Set([
  'string',
  'json',
  'xml',
  'ltree',
  'tsvector',
  'enum',
  'bytes',
]);

function encoded(write: (out: ByteWriter) => void): Buffer {
  const out = new ByteWriter(64);
  write(out);
  return Buffer.from(out.written());
}

/** A valid value that stands where there is none; the header `millrace.unchanged` says so. */
function writeZero(type: SemanticType, out: ByteWriter): void {
  switch (type.kind) {
    case 'float32':
      return out.float(0);
    case 'float64':
      return out.double(0);
    case 'decimal':
      return out.slice(Buffer.of(0));
    case 'variable-decimal':
      out.long(0);
      return out.slice(Buffer.of(0));
    case 'uuid':
      return out.string('00000000-0000-0000-0000-000000000000');
    case 'zoned-timestamp':
    case 'iso-timestamp':
      return out.string('1970-01-01T00:00:00Z');
    case 'zoned-time':
    case 'iso-time':
      return out.string('00:00:00Z');
    case 'iso-date':
      return out.string('1970-01-01Z');
    case 'interval':
      return out.string('P0Y0M0DT0H0M0S');
    case 'point':
      out.double(0);
      out.double(0);
      return out.raw(Buffer.of(0, 0));
    case 'geometry':
      return out.raw(Buffer.of(0, 0, 0));
    case 'geography':
    case 'sparse-vector':
      return out.raw(Buffer.of(0, 0));
    case 'json':
      return out.string('null');
    case 'enum':
      return out.string(type.allowed[0] ?? '');
    case 'boolean':
    case 'int16':
    case 'int32':
    case 'int64':
    case 'string':
    case 'bytes':
    case 'date':
    case 'time':
    case 'timestamp':
    case 'micro-duration':
    case 'xml':
    case 'ltree':
    case 'tsvector':
    case 'bits':
    case 'map':
    case 'array':
    case 'double-vector':
    case 'float-vector':
      return out.byte(0);
  }
}
