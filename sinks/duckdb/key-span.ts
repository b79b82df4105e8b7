import type { Table } from '../dialect.ts';
import { FixedVector, type ColumnVector } from './vector.ts';
import { wordsNumber } from './words.ts';

type KeyType = 'SMALLINT' | 'INTEGER' | 'BIGINT';

/** The key of a table where that is one integer: its name and type, and where it is among the columns. */
export function integerKey(table: Table): { name: string; place: number; type: KeyType } | null {
  const [name, more] = table.key;
  if (name === undefined || more !== undefined) return null;
  const place = table.columns.findIndex((column) => column.name === name);
  const type = table.columns[place]?.type;
  if (type !== 'SMALLINT' && type !== 'INTEGER' && type !== 'BIGINT') return null;
  return { name, place, type };
}

/**
 * The lowest and the highest key of a batch, for tables whose key is one integer: a batch whose keys are all
 * above every key that the table has ever had, as those of a snapshot and of new rows mostly are, has nothing to
 * replace. Keys are numbers here: what is beyond 2^53 is rounded, and rounding puts no key above
 * another that it was not above.
 */
export class KeySpan {
  low = Infinity;
  high = -Infinity;
  /** Some row has no key: nothing is known then. */
  hasNulls = false;
  readonly #vector: FixedVector;
  readonly #type: KeyType;

  private constructor(vector: FixedVector, type: KeyType) {
    this.#vector = vector;
    this.#type = type;
  }

  /** Null for a table with another kind of key. */
  static of(table: Table, vectors: readonly ColumnVector[]): KeySpan | null {
    const key = integerKey(table);
    const vector = key === null ? null : vectors[key.place];
    return key !== null && vector instanceof FixedVector ? new KeySpan(vector, key.type) : null;
  }

  reset(): void {
    this.low = Infinity;
    this.high = -Infinity;
    this.hasNulls = false;
  }

  /** Takes the first rows of the vector, before they are flushed. */
  add(rows: number): void {
    const { i16, i32 } = this.#vector;
    if (this.#vector.hasNulls) this.hasNulls = true;
    for (let row = 0; row < rows; row++) {
      const key =
        this.#type === 'BIGINT'
          ? wordsNumber(i32, row * 2)
          : ((this.#type === 'INTEGER' ? i32[row] : i16[row]) as number);
      if (key < this.low) this.low = key;
      if (key > this.high) this.high = key;
    }
  }
}
