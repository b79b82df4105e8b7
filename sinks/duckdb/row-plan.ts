import type { ByteReader } from '../../schemas/byte-reader.ts';
import type { EnvelopeColumn } from '../../schemas/envelope-reader.ts';
import type { Column } from '../dialect.ts';
import type { ExactTexts } from '../changes.ts';
import { writeExact } from './exact.ts';
import type { ReadValue } from './read-value.ts';
import { compileColumn, endsEarly } from './value.ts';
import type { ColumnVector } from './vector.ts';

/** How row images of one schema get into the vectors of a stage. */
export class RowPlan {
  /** By column of the schema, in its order. */
  readonly reads: readonly ReadValue[];
  /** Where each column of the schema is in the table. */
  readonly places: readonly number[];
  readonly names: readonly string[];
  readonly #table: readonly Column[];
  readonly #vectors: readonly ColumnVector[];
  /** Vectors of table columns that the schema does not have. */
  readonly #absent: readonly ColumnVector[];

  constructor(
    columns: readonly EnvelopeColumn[],
    table: readonly Column[],
    vectors: readonly ColumnVector[],
  ) {
    this.#table = table;
    this.#vectors = vectors;
    this.names = columns.map(({ name }) => name);
    this.places = columns.map(({ name }) => table.findIndex((column) => column.name === name));
    this.reads = columns.map((column, index) => {
      const place = this.places[index] as number;
      const vector = vectors[place];
      const sqlType = table[place]?.type;
      if (vector === undefined || sqlType === undefined) {
        throw new Error(`column ${column.name} is not in its table`);
      }
      return compileColumn(column, { schema: column.schema, type: column.type, sqlType, vector });
    });
    this.#absent = table.flatMap((_, place) =>
      this.places.includes(place) ? [] : (vectors[place] ?? []),
    );
  }

  /** Reads a whole image at the reader's position into a row; what the schema lacks is NULL. */
  read(reader: ByteReader, row: number, end: number): void {
    const { reads } = this;
    for (let column = 0; column < reads.length; column++) (reads[column] as ReadValue)(reader, row);
    if (!(reader.position <= end)) throw endsEarly();
    for (const vector of this.#absent) vector.setNull(row);
  }

  /** The same for an image that is only part of the row, as a key is: the rest is left alone. */
  readPart(reader: ByteReader, row: number, end: number): void {
    const { reads } = this;
    for (let column = 0; column < reads.length; column++) (reads[column] as ReadValue)(reader, row);
    if (!(reader.position <= end)) throw endsEarly();
  }

  /** Writes what the schema could not say over what was read; `only` limits it to some table columns. */
  writeExact(texts: ExactTexts, row: number, only?: ReadonlySet<number>): void {
    for (const [name, text] of texts) {
      const place = this.places[this.names.indexOf(name)] ?? -1;
      const vector = this.#vectors[place];
      const sqlType = this.#table[place]?.type;
      if (vector === undefined || sqlType === undefined || only?.has(place) === false) continue;
      writeExact(text, { name, sqlType, vector }, row);
    }
  }

  setRestNull(row: number): void {
    for (const vector of this.#absent) vector.setNull(row);
  }
}
