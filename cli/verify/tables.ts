import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import type { Client } from 'pg';
import { Connection } from '../../connectors/postgres/connection.ts';
import {
  connectionSettings,
  type ConnectionOptionsGiven,
} from '../../connectors/postgres/connection-settings.ts';
import type { RowFilters } from '../../connectors/postgres/row-filters.ts';
import { quote } from './canonical.ts';
import { columnsOf, tableName, type Forms, type NotCompared, type TableName } from './columns.ts';
import { compareRows, type Comparison } from './compare.ts';
import { sinkRows } from './sink-rows.ts';
import { postgresRows, duckdbRows } from './sorted-rows.ts';

export interface TableComparison extends Comparison {
  /** Name in the source, such as `public.orders`. */
  readonly table: string;
  /** False also for a table that could not be compared at all. */
  readonly equal: boolean;
  readonly notCompared: readonly NotCompared[];
}

export interface CompareOptions extends Forms {
  /** Where the Postgres source is. */
  readonly source: ConnectionOptionsGiven;
  /** The DuckDB file; no other process may have it open. */
  readonly file: string;
  readonly tables: readonly string[];
  /** Which rows the source captures, by `schema.table`. */
  readonly filters?: RowFilters;
  /** Name of a table in the sink, if not that in the source. */
  readonly targetOf?: (table: string) => TableName;
  readonly signal: AbortSignal;
}

/**
 * Compares tables of a Postgres database with those of a DuckDB file, all rows and columns that are
 * captured, one table after another. The source is read in one snapshot; it should stand still, or it is
 * ahead. What a rule or a mode makes of a value in the source is what must be in the sink.
 */
export async function compareTables(options: CompareOptions): Promise<TableComparison[]> {
  const settings = connectionSettings(options.source);
  await using source = await Connection.open(settings, options.signal);
  const { client } = source;
  const instance = await DuckDBInstance.create(options.file, { access_mode: 'READ_ONLY' });
  const connection = await instance.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const found: TableComparison[] = [];
    for (const table of options.tables) {
      options.signal.throwIfAborted();
      found.push(await compareTable({ client, connection }, table, options));
    }
    return found;
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

async function compareTable(
  { client, connection }: { client: Client; connection: DuckDBConnection },
  table: string,
  options: CompareOptions,
): Promise<TableComparison> {
  const name = tableName(table);
  const { columns, notCompared } = await columnsOf(client, name, options);
  const target = options.targetOf?.(table) ?? name;
  const held = await sinkRows(connection, target, columns);
  if (held !== null && 'why' in held) {
    const why = { column: null, why: held.why };
    const nothing = { sourceRows: 0, sinkRows: 0, missing: 0, extra: 0, different: 0, first: null };
    return { table, ...nothing, equal: false, notCompared: [why, ...notCompared] };
  }
  const source = postgresRows(client, captured(name, options.filters?.[table]), columns);
  const sink = held === null ? none() : duckdbRows(connection, held.from, columns);
  const found = await compareRows(columns, source, sink);
  return {
    table,
    ...found,
    equal: held !== null && found.missing + found.extra + found.different === 0,
    first: held === null ? 'the sink has no such table' : found.first,
    notCompared,
  };
}

/** The rows of a table that are captured. A filter may name the table, so it is kept inside. */
function captured({ schema, name }: TableName, filter: string | undefined): string {
  const table = `${quote(schema)}.${quote(name)}`;
  return filter === undefined ? table : `(SELECT * FROM ${table} WHERE (${filter}\n))`;
}

async function* none(): AsyncIterable<never> {}
