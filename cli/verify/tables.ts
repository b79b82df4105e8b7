import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { Client } from 'pg';
import { quote } from './canonical.ts';
import { columnsOf, type ComparedColumn } from './columns.ts';
import { compareRows, type Comparison } from './compare.ts';
import { duckdbRows, keyOf, postgresRows } from './sorted-rows.ts';

export interface TableComparison extends Comparison {
  /** Name in the source, such as `public.orders`. */
  readonly table: string;
  readonly equal: boolean;
}

export interface CompareOptions {
  /** Connection string of the Postgres source. */
  readonly url: string;
  /** The DuckDB file; no other process may have it open. */
  readonly file: string;
  readonly tables: readonly string[];
  readonly signal: AbortSignal;
}

/**
 * Compares tables of a Postgres database with those of a DuckDB file, all rows and columns, one table
 * after another. The source is read in one snapshot; it should stand still, or it is ahead.
 */
export async function compareTables(options: CompareOptions): Promise<TableComparison[]> {
  const client = new Client({ connectionString: options.url });
  await client.connect();
  const instance = await DuckDBInstance.create(options.file, { access_mode: 'READ_ONLY' });
  const connection = await instance.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const found: TableComparison[] = [];
    for (const table of options.tables) {
      options.signal.throwIfAborted();
      found.push(await compareTable({ client, connection }, table));
    }
    return found;
  } finally {
    connection.closeSync();
    instance.closeSync();
    await client.end();
  }
}

async function compareTable(
  { client, connection }: { client: Client; connection: DuckDBConnection },
  table: string,
): Promise<TableComparison> {
  const columns = await columnsOf(client, table);
  const source = postgresRows(client, table, columns);
  const from = await sinkRelation(connection, table, columns);
  const sink = from === null ? none() : duckdbRows(connection, from, columns);
  const found = await compareRows(columns, source, sink);
  const equal = found.missing + found.extra + found.different === 0;
  return {
    table,
    ...found,
    equal,
    first: from === null ? 'the sink has no such table' : found.first,
  };
}

async function* none(): AsyncIterable<never> {}

/**
 * What to select from to see the rows that the sink holds as they are in the source: without those
 * marked as deleted, and of a table of changes the newest per key. A table of changes without a key
 * has nothing but inserts. A column that the sink does not have yet was never set.
 */
async function sinkRelation(
  connection: DuckDBConnection,
  table: string,
  columns: readonly ComparedColumn[],
): Promise<string | null> {
  const [schema = '', name = ''] = table.split('.');
  const known = await connection.runAndReadAll(
    'SELECT column_name FROM duckdb_columns() WHERE schema_name = $1 AND table_name = $2',
    [schema, name],
  );
  const has = new Set(known.getRows().map(([column]) => String(column)));
  if (has.size === 0) return null;
  const missing = columns
    .filter((column) => !has.has(column.name))
    .map(
      ({ name, type }) =>
        `, CAST(NULL AS VARCHAR${type.kind === 'array' ? '[]' : ''}) AS ${quote(name)}`,
    );
  const where = has.has('_deleted') ? ' WHERE NOT coalesce(_deleted, false)' : '';
  return `(SELECT *${missing.join('')} FROM ${quote(schema)}.${quote(name)}${where}${
    has.has('_op') ? newestPerKey(columns) : ''
  })`;
}

function newestPerKey(columns: readonly ComparedColumn[]): string {
  if (keyOf(columns) === columns) return ` WHERE _op IN ('c', 'r')`;
  const key = keyOf(columns).map(({ name }) => quote(name));
  return ` QUALIFY row_number() OVER (PARTITION BY ${key.join(', ')} ORDER BY _version DESC) = 1 AND _op <> 'd'`;
}
