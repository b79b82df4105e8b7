import type { ComparedColumn } from './columns.ts';
import { compareText } from './normal-text.ts';
import { keyOf, type CanonicalRow } from './sorted-rows.ts';

/** What a comparison of two tables found. Never values, except those of a key. */
export interface Comparison {
  readonly sourceRows: number;
  readonly sinkRows: number;
  /** Rows only in the source, only in the sink, and in both with other values. */
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
  /** The first of them in key order, in words; null if both are equal. */
  readonly first: string | null;
}

/**
 * Walks two tables in the same order of their key and matches row by row, holding one batch of each.
 * Without a key the rows are matched as a whole, so both must hold each of them as often.
 */
export async function compareRows(
  columns: readonly ComparedColumn[],
  source: AsyncIterable<CanonicalRow[]>,
  sink: AsyncIterable<CanonicalRow[]>,
): Promise<Comparison> {
  const match: Match = {
    columns,
    key: keyOf(columns).map((column) => columns.indexOf(column)),
    keyed: columns.some((column) => column.keyPlace !== null),
  };
  const found = { missing: 0, extra: 0, different: 0 };
  let first: string | null = null;
  const left = new RowReader(source);
  const right = new RowReader(sink);
  await left.next();
  await right.next();
  while (left.row !== null || right.row !== null) {
    const order = compareKeys(match, left.row, right.row);
    if (order < 0) {
      found.missing++;
      first ??= `${rowName(match, left)} is not in the sink`;
    } else if (order > 0) {
      found.extra++;
      first ??= `${rowName(match, right)} is only in the sink`;
    } else {
      const at = differingColumn(left.row, right.row);
      if (at >= 0) {
        found.different++;
        first ??= `${columns[at]?.name} differs at ${rowName(match, left)}`;
      }
    }
    if (order <= 0) await left.next();
    if (order >= 0) await right.next();
  }
  return { sourceRows: left.count, sinkRows: right.count, ...found, first };
}

/** What rows are matched by: the places of the key among the columns. */
interface Match {
  readonly columns: readonly ComparedColumn[];
  readonly key: readonly number[];
  readonly keyed: boolean;
}

/** One row at a time of batches; `row` is null at the end. */
class RowReader {
  row: CanonicalRow | null = null;
  count = 0;
  readonly #batches: AsyncIterator<CanonicalRow[]>;
  #batch: CanonicalRow[] = [];
  #at = 0;

  constructor(batches: AsyncIterable<CanonicalRow[]>) {
    this.#batches = batches[Symbol.asyncIterator]();
  }

  /** Asynchronous only where a batch ends. */
  next(): Promise<void> | undefined {
    if (this.#at >= this.#batch.length) return this.#refill();
    this.row = this.#batch[this.#at++] ?? null;
    this.count++;
    return undefined;
  }

  async #refill(): Promise<void> {
    do {
      const { value, done } = await this.#batches.next();
      if (done === true) {
        this.row = null;
        return;
      }
      this.#batch = value;
      this.#at = 0;
    } while (this.#batch.length === 0);
    await this.next();
  }
}

/** A table that has ended comes after everything that is left of the other. */
function compareKeys(
  { columns, key }: Match,
  left: CanonicalRow | null,
  right: CanonicalRow | null,
): number {
  if (left === null || right === null) return left === null ? 1 : -1;
  for (const at of key) {
    const column = columns[at] as ComparedColumn;
    const order = compareText(column.type, left[at] ?? null, right[at] ?? null);
    if (order !== 0) return order;
  }
  return 0;
}

function differingColumn(left: CanonicalRow | null, right: CanonicalRow | null): number {
  if (left === null || right === null) return -1;
  for (let at = 0; at < left.length; at++) if (left[at] !== right[at]) return at;
  return -1;
}

function rowName({ columns, key, keyed }: Match, { row, count }: RowReader): string {
  if (!keyed || row === null) return `row ${count} in the order of all columns`;
  return `key ${key.map((at) => `${columns[at]?.name}=${row[at]}`).join(', ')}`;
}
