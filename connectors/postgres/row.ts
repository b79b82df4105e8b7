import { ByteWriter } from '../../schemas/byte-writer.ts';
import type { SemanticType } from '../../schemas/semantic.ts';
import type { PgColumn } from './table.ts';
import { BINARY, NULL, UNCHANGED, type Tuple } from './tuple.ts';
import { codecOf } from './types/codec-of.ts';
import type { Cell, TypeCodec } from './types/type-codec.ts';
import { MillraceError } from '../../errors.ts';

/** What Debezium writes where the source did not send a value that lies out of line. */
export const UNAVAILABLE = '__debezium_unavailable_value';

interface RowColumn {
  readonly name: string;
  readonly codec: TypeCodec;
  readonly optional: boolean;
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

  constructor(columns: readonly PgColumn[]) {
    this.#columns = columns.map(rowColumn);
    this.#missing = new Int32Array(columns.length);
    this.#required = columns.flatMap((column, index) => (column.optional ? [] : [index]));
  }

  /** False if a column is null that may not be: the table is not as its schema says. */
  fits(tuple: Tuple): boolean {
    for (const index of this.#required) if (tuple.kinds[index] === NULL) return false;
    return true;
  }

  /** Forgets which columns were missing; to be called before each record. */
  start(): void {
    this.#missingCount = 0;
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
      this.#at = i;
      let from = tuple;
      let kind = tuple.kinds[i];
      if (kind === UNCHANGED && older !== null && (older.full || older.kinds[i] !== NULL)) {
        from = older;
        kind = older.kinds[i];
      }
      if (kind === NULL && from.full) out.byte(0);
      else if (kind === NULL || kind === UNCHANGED) {
        this.#missing[this.#missingCount++] = i;
        out.raw(kind === NULL ? column.absent : column.placeholder);
      } else {
        if (column.optional) out.byte(2);
        cell.bytes = from.bytes;
        cell.start = from.starts[i] as number;
        cell.end = from.ends[i] as number;
        if (kind === BINARY) column.codec.binary(cell, out);
        else column.codec.text(cell, out);
      }
    }
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

function rowColumn({ name, type, optional }: PgColumn): RowColumn {
  const { codec } = codecOf(type);
  const zero = encoded((out) => writeZero(codec.semantic, out));
  const text = TEXT_LIKE.has(codec.semantic.kind)
    ? encoded((out) => out.string(UNAVAILABLE))
    : null;
  const absent = optional ? Buffer.of(0) : zero;
  const given = optional && text !== null ? Buffer.concat([Buffer.of(2), text]) : text;
  return { name, codec, optional, absent, placeholder: given ?? absent };
}

const TEXT_LIKE: ReadonlySet<SemanticType['kind']> = new Set(['string', 'json', 'enum', 'bytes']);

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
      return out.string('1970-01-01T00:00:00Z');
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
    case 'array':
      return out.byte(0);
  }
}
