import type duckdb from '@duckdb/node-bindings';
import { MillraceError } from '../../errors.ts';

export type Bindings = typeof duckdb;

/** Rows of a DuckDB data chunk. */
export const CHUNK_ROWS = 2048;

/**
 * A column of a data chunk on our side: values are written here row by row, and copied into DuckDB's
 * vector at once. Layouts: DuckDB's vector format, as its C API gives access to it.
 */
export interface ColumnVector {
  setNull(row: number): void;
  /** Makes room for a row; only lists need it, whose children may exceed a chunk. */
  reserve(rows: number): void;
  /** Copies the rows into DuckDB's vector and empties this one. */
  flush(to: duckdb.Vector, rows: number): void;
}

/** One bit per row, set where the value is not NULL. */
class Validity {
  #bits = new Uint8Array(CHUNK_ROWS / 8).fill(0xff);
  #nulls = false;

  /** Whether a row was NULL since the last flush, even if that was taken back. */
  get hasNulls(): boolean {
    return this.#nulls;
  }

  setNull(row: number): void {
    this.#nulls = true;
    const byte = row >> 3;
    this.#bits[byte] = (this.#bits[byte] as number) & ~(1 << (row & 7));
  }

  setValid(row: number): void {
    const byte = row >> 3;
    this.#bits[byte] = (this.#bits[byte] as number) | (1 << (row & 7));
  }

  reserve(rows: number): void {
    const bytes = ((rows + 63) >> 6) << 3;
    if (bytes <= this.#bits.length) return;
    const grown = new Uint8Array(Math.max(bytes, this.#bits.length * 2)).fill(0xff);
    grown.set(this.#bits);
    this.#bits = grown;
  }

  flush(bindings: Bindings, to: duckdb.Vector, rows: number): void {
    if (!this.#nulls) return;
    bindings.vector_ensure_validity_writable(to);
    const bytes = ((rows + 63) >> 6) << 3;
    bindings.copy_data_to_vector_validity(to, 0, this.#bits.buffer, 0, bytes);
    this.#bits.fill(0xff);
    this.#nulls = false;
  }
}

/** Values of a fixed width, in views of the same bytes. */
export class FixedVector implements ColumnVector {
  u8: Uint8Array;
  i16: Int16Array;
  i32: Int32Array;
  f32: Float32Array;
  f64: Float64Array;
  readonly #bindings: Bindings;
  readonly #width: number;
  readonly #validity = new Validity();

  constructor(bindings: Bindings, width: number) {
    this.#bindings = bindings;
    this.#width = width;
    this.u8 = new Uint8Array(CHUNK_ROWS * width);
    this.i16 = new Int16Array(this.u8.buffer);
    this.i32 = new Int32Array(this.u8.buffer);
    this.f32 = new Float32Array(this.u8.buffer);
    this.f64 = new Float64Array(this.u8.buffer);
  }

  get hasNulls(): boolean {
    return this.#validity.hasNulls;
  }

  setNull(row: number): void {
    this.#validity.setNull(row);
  }

  /** Takes a NULL back: the value is written after all. */
  setValid(row: number): void {
    this.#validity.setValid(row);
  }

  reserve(rows: number): void {
    this.#validity.reserve(rows);
    const bytes = rows * this.#width;
    if (bytes <= this.u8.length) return;
    const grown = new Uint8Array(Math.max(bytes, this.u8.length * 2));
    grown.set(this.u8);
    this.u8 = grown;
    this.i16 = new Int16Array(grown.buffer);
    this.i32 = new Int32Array(grown.buffer);
    this.f32 = new Float32Array(grown.buffer);
    this.f64 = new Float64Array(grown.buffer);
  }

  flush(to: duckdb.Vector, rows: number): void {
    const bytes = rows * this.#width;
    this.#bindings.copy_data_to_vector(to, 0, this.u8.buffer as ArrayBuffer, 0, bytes);
    this.#validity.flush(this.#bindings, to, rows);
  }
}

/** Text (as UTF-8) and bytes. Views of the batch's buffers are kept until the chunk is flushed. */
export class SliceVector implements ColumnVector {
  readonly values: (Uint8Array | null)[] = [];
  readonly #bindings: Bindings;
  readonly #text: boolean;

  constructor(bindings: Bindings, text: boolean) {
    this.#bindings = bindings;
    this.#text = text;
  }

  setNull(row: number): void {
    this.values[row] = null;
  }

  reserve(): void {}

  flush(to: duckdb.Vector, rows: number): void {
    const { values } = this;
    const assign = this.#bindings.vector_assign_string_element_len;
    let nulls: Validity | undefined;
    for (let row = 0; row < rows; row++) {
      const value = values[row];
      if (value) assign(to, row, value);
      else (nulls ??= this.#nulls(rows)).setNull(row);
    }
    // DuckDB turns text that is not UTF-8 into NULL without a word; its validity tells.
    if (this.#text && this.#bindings.vector_get_validity(to, 8) !== null) {
      throw new MillraceError('RECORD_MALFORMED', 'a text value is not UTF-8');
    }
    nulls?.flush(this.#bindings, to, rows);
    values.length = 0;
  }

  #nulls(rows: number): Validity {
    const validity = new Validity();
    validity.reserve(rows);
    return validity;
  }
}

/** Lists: where each row's items start and how many they are, and the items in a vector of their own. */
export class ListVector implements ColumnVector {
  readonly items: ColumnVector;
  itemCount = 0;
  readonly #bindings: Bindings;
  /** Start and length as 64-bit words. */
  readonly #entries: FixedVector;

  constructor(bindings: Bindings, items: ColumnVector) {
    this.#bindings = bindings;
    this.#entries = new FixedVector(bindings, 16);
    this.items = items;
  }

  setNull(row: number): void {
    this.#entry(row, 0);
    this.#entries.setNull(row);
  }

  reserve(rows: number): void {
    this.#entries.reserve(rows);
  }

  /** Place of the next item. */
  add(): number {
    this.items.reserve(this.itemCount + 1);
    return this.itemCount++;
  }

  /** Says that the row's list is the items added since `start`. */
  end(row: number, start: number): void {
    this.#entry(row, this.itemCount - start, start);
  }

  /** Takes a NULL back: the list is written after all. */
  setValid(row: number): void {
    this.#entries.setValid(row);
  }

  flush(to: duckdb.Vector, rows: number): void {
    this.#bindings.list_vector_reserve(to, this.itemCount);
    this.#bindings.list_vector_set_size(to, this.itemCount);
    this.items.flush(this.#bindings.list_vector_get_child(to), this.itemCount);
    this.#entries.flush(to, rows);
    this.itemCount = 0;
  }

  #entry(row: number, length: number, start = this.itemCount): void {
    const words = this.#entries.i32;
    words[row * 4] = start;
    words[row * 4 + 1] = 0;
    words[row * 4 + 2] = length;
    words[row * 4 + 3] = 0;
  }
}

const WIDTHS: Readonly<Record<string, number>> = {
  BOOLEAN: 1,
  SMALLINT: 2,
  INTEGER: 4,
  FLOAT: 4,
  DATE: 4,
  BIGINT: 8,
  DOUBLE: 8,
  TIME: 8,
  TIME_NS: 8,
  TIMESTAMP: 8,
  TIMESTAMP_NS: 8,
  'TIMESTAMP WITH TIME ZONE': 8,
  'TIME WITH TIME ZONE': 8,
  UUID: 16,
  INTERVAL: 16,
};

/** Bytes of a DECIMAL of that many digits. */
export function decimalBytes(width: number): 2 | 4 | 8 | 16 {
  return width <= 4 ? 2 : width <= 9 ? 4 : width <= 18 ? 8 : 16;
}

/** A vector for a type of {@link duckdbType}. */
export function vectorOf(bindings: Bindings, type: string): ColumnVector {
  if (type.endsWith('[]')) return new ListVector(bindings, vectorOf(bindings, type.slice(0, -2)));
  const decimal = /^DECIMAL\((\d+),/.exec(type);
  if (decimal !== null) return new FixedVector(bindings, decimalBytes(Number(decimal[1])));
  const width = WIDTHS[type];
  if (width !== undefined) return new FixedVector(bindings, width);
  return new SliceVector(bindings, type !== 'BLOB' && type !== 'BIT');
}
