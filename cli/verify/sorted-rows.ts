import type { DuckDBConnection } from '@duckdb/node-api';
import type { Client } from 'pg';
import {
  duckdbText,
  isNormalised,
  normalise,
  postgresText,
  quote,
  sortsAlike,
} from './canonical.ts';
import type { ComparedColumn } from './columns.ts';

/** Canonical texts of a row, a place per compared column. */
export type CanonicalRow = (string | null)[];

const FETCH_ROWS = 2000;

/** A bare name in ORDER BY would mean the column of the result, which is its text. */
const place = (name: string): string => `t.${quote(name)}`;

/** The columns that rows are sorted and matched by: the key, or all where there is none. */
export function keyOf(columns: readonly ComparedColumn[]): readonly ComparedColumn[] {
  const key = columns
    .filter((column) => column.keyPlace !== null)
    .sort((a, b) => (a.keyPlace ?? 0) - (b.keyPlace ?? 0));
  return key.length > 0 ? key : columns;
}

/**
 * Rows of a Postgres table in key order, a batch at a time. The client must be inside a transaction,
 * which is where its cursor lives.
 */
export async function* postgresRows(
  client: Client,
  table: string,
  columns: readonly ComparedColumn[],
): AsyncIterable<CanonicalRow[]> {
  const list = columns.map(({ name, type }) => postgresText(type, place(name)));
  const order = keyOf(columns).map(({ name, type }) =>
    sortsAlike(type) ? place(name) : `(${postgresText(type, place(name))}) COLLATE "C"`,
  );
  const name = table.split('.').map(quote).join('.');
  await client.query(
    `DECLARE compared NO SCROLL CURSOR FOR SELECT ${list.join(', ')} FROM ${name} AS t ORDER BY ${order.join(', ')}`,
  );
  try {
    for (;;) {
      const { rows } = await client.query<CanonicalRow>({
        text: `FETCH ${FETCH_ROWS} FROM compared`,
        rowMode: 'array',
      });
      if (rows.length === 0) return;
      yield normaliseAll(rows, columns);
    }
  } finally {
    await client.query('CLOSE compared');
  }
}

/** Rows of a DuckDB table, or of a subquery, in key order, a chunk at a time. */
export async function* duckdbRows(
  connection: DuckDBConnection,
  from: string,
  columns: readonly ComparedColumn[],
): AsyncIterable<CanonicalRow[]> {
  const list = columns.map(({ name, type }) => duckdbText(type, place(name)));
  const order = keyOf(columns).map(
    ({ name, type }) =>
      `${sortsAlike(type) ? place(name) : duckdbText(type, place(name))} ASC NULLS LAST`,
  );
  const result = await connection.stream(
    `SELECT ${list.join(', ')} FROM ${from} AS t ORDER BY ${order.join(', ')}`,
  );
  for await (const rows of result.yieldRowsJs()) {
    yield normaliseAll(rows as CanonicalRow[], columns);
  }
}

function normaliseAll(rows: CanonicalRow[], columns: readonly ComparedColumn[]): CanonicalRow[] {
  columns.forEach(({ type }, at) => {
    if (!isNormalised(type)) return;
    for (const row of rows) row[at] = normalise(type, row[at] ?? null);
  });
  return rows;
}
