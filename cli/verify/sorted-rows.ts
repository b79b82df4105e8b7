import { createHmac } from 'node:crypto';
import type { DuckDBConnection } from '@duckdb/node-api';
import type { Client } from 'pg';
import { duckdbText, postgresText, quote, sortsAlike } from './canonical.ts';
import type { ComparedColumn } from './columns.ts';
import { isNormalised, normalise } from './normal-text.ts';

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
 * Rows of a Postgres table, or of a subquery, in key order, a batch at a time. The client must be inside a
 * transaction, which is where its cursor lives.
 */
export async function* postgresRows(
  client: Client,
  from: string,
  columns: readonly ComparedColumn[],
): AsyncIterable<CanonicalRow[]> {
  const list = columns.map(sourceText);
  const order = keyOf(columns).map(sourceOrder);
  await client.query(
    `DECLARE compared NO SCROLL CURSOR FOR SELECT ${list.join(', ')} FROM ${from} AS t ORDER BY ${order.join(', ')}`,
  );
  try {
    for (;;) {
      const { rows } = await client.query<CanonicalRow>({
        text: `FETCH ${FETCH_ROWS} FROM compared`,
        rowMode: 'array',
      });
      if (rows.length === 0) return;
      hashAll(rows, columns);
      yield normaliseAll(rows, columns);
    }
  } finally {
    // After an error there is no cursor, and the error says more than that.
    await client.query('CLOSE compared').catch(() => undefined);
  }
}

/** SQL for Postgres: the canonical text of what the source's rule makes of a value. */
function sourceText({ name, type, rule }: ComparedColumn): string {
  const text = postgresText(type, place(name));
  switch (rule?.kind) {
    case 'mask':
      return `CASE WHEN (${text}) IS NOT NULL THEN '****' END`;
    case 'truncate':
      return `left(${text}, ${rule.characters})`;
    case 'hash':
    case undefined:
      return text;
  }
}

function sourceOrder(column: ComparedColumn): string {
  const { name, type } = column;
  if (isRounded(column)) return `${place(name)}::numeric::float8`;
  return sortsAlike(type) ? place(name) : `(${sourceText(column)}) COLLATE "C"`;
}

const isRounded = ({ type: { kind } }: ComparedColumn): boolean =>
  kind === 'rounded' || kind === 'rounded-money';

/** Here and not in the server, which would have to be told the key. */
function hashAll(rows: CanonicalRow[], columns: readonly ComparedColumn[]): void {
  for (const [at, { rule }] of columns.entries()) {
    if (rule?.kind !== 'hash') continue;
    for (const row of rows) {
      const text = row[at] ?? null;
      if (text !== null) row[at] = createHmac('sha256', rule.key).update(text).digest('hex');
    }
  }
}

/** Rows of a DuckDB table, or of a subquery, in key order, a chunk at a time. */
export async function* duckdbRows(
  connection: DuckDBConnection,
  from: string,
  columns: readonly ComparedColumn[],
): AsyncIterable<CanonicalRow[]> {
  const list = columns.map(({ name, type }) => duckdbText(type, place(name)));
  const order = keyOf(columns).map((column) => {
    const { name, type } = column;
    const own = sortsAlike(type) || isRounded(column);
    return `${own ? place(name) : duckdbText(type, place(name))} ASC NULLS LAST`;
  });
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
