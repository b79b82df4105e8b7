import type { DuckDBConnection } from '@duckdb/node-api';
import { quote } from './canonical.ts';
import type { ComparedColumn, TableName } from './columns.ts';
import { keyOf } from './sorted-rows.ts';

/** Rows of a sink's table as the source has them; or why that cannot be told. */
export type SinkRows = { readonly from: string } | { readonly why: string };

/**
 * What to select from to see the rows that the sink holds as they are in the source: without those
 * marked as deleted, and of a table of changes the newest per key. A column that the sink does not have
 * yet was never set. Null if there is no such table.
 */
export async function sinkRows(
  connection: DuckDBConnection,
  { schema, name }: TableName,
  columns: readonly ComparedColumn[],
): Promise<SinkRows | null> {
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
  const table = `${quote(schema)}.${quote(name)}`;
  const selected = `SELECT *${missing.join('')} FROM ${table}`;
  if (!has.has('_op')) {
    const live = has.has('_deleted') ? ' WHERE NOT coalesce(_deleted, false)' : '';
    return { from: `(${selected}${live})` };
  }
  return await ofChanges(connection, { table, selected, columns });
}

/** Of a table of changes: those after the last truncate that still hold. */
async function ofChanges(
  connection: DuckDBConnection,
  by: {
    readonly table: string;
    readonly selected: string;
    readonly columns: readonly ComparedColumn[];
  },
): Promise<SinkRows> {
  const { table, selected, columns } = by;
  const since = `_op IN ('c', 'r', 'u', 'd') AND _version > coalesce(
    (SELECT max(_version) FROM ${table} WHERE _op = 't'), -9223372036854775808)`;
  const key = keyOf(columns);
  if (key !== columns) {
    const names = key.map(({ name }) => quote(name)).join(', ');
    return {
      from: `(${selected} WHERE ${since} QUALIFY row_number()
        OVER (PARTITION BY ${names} ORDER BY _version DESC) = 1 AND _op <> 'd')`,
    };
  }
  // Nothing says which of several rows an update or a delete was of.
  const found = await connection.runAndReadAll(
    `SELECT count(*) FROM ${table} WHERE ${since} AND _op IN ('u', 'd')`,
  );
  if (found.getRows()[0]?.[0] === 0n) return { from: `(${selected} WHERE ${since})` };
  return {
    why: 'rows were updated or deleted in a table without a primary key, and its table of changes does not say which',
  };
}
