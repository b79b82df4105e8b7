import { escapeLiteral } from 'pg';
import type { CataloguedTable } from './catalogue.ts';
import type { Connection } from './connection.ts';
import { copySelect } from './copy-binary.ts';
import { filterOf, type RowFilters } from './row-filters.ts';
import { quoteName, quoteTable } from './server.ts';
import type { RangeBounds } from './wal-position.ts';

/**
 * What is read from beginning to end: a table, or one partition of a partitioned table without a key
 * (its rows can be told apart by their place only, and each partition has places of its own).
 */
export interface SnapshotUnit {
  /** `schema.table`, as in the position. */
  readonly name: string;
  readonly of: CataloguedTable;
  readonly oid: number;
  /** For `FROM`. A filter may name its table, so that is what the rows are called. */
  readonly relation: string;
  /** Of the rows wanted, as SQL about the rows of `relation`. */
  readonly conditions: readonly string[];
}

export async function snapshotUnits(
  connection: Connection,
  tables: readonly CataloguedTable[],
  filters: RowFilters = {},
): Promise<SnapshotUnit[]> {
  const units: SnapshotUnit[] = [];
  for (const of of tables) {
    const { table } = of;
    const whole = wholeUnit(of, filters);
    if (table.key.length > 0 || !of.partitioned) {
      units.push(whole);
      continue;
    }
    const leaves = await connection.rows<{ oid: number; schema: string; name: string }>(
      `SELECT c.oid, n.nspname AS schema, c.relname AS name
       FROM pg_partition_tree($1::oid) t JOIN pg_class c ON c.oid = t.relid
       JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE t.isleaf AND c.relkind = 'r' ORDER BY 2, 3`,
      [table.oid],
    );
    for (const leaf of leaves) {
      units.push({
        name: `${leaf.schema}.${leaf.name}`,
        of,
        oid: leaf.oid,
        relation: `${quoteTable(leaf)} ${quoteName(table.name)}`,
        conditions: whole.conditions,
      });
    }
  }
  return units;
}

/** A table from beginning to end, with its partitions. */
export function wholeUnit(of: CataloguedTable, filters: RowFilters = {}): SnapshotUnit {
  const { table } = of;
  const filter = filterOf(of, filters);
  const conditions = filter === null ? [] : [`(${filter}\n)`];
  const name = `${table.schema}.${table.name}`;
  return { name, of, oid: table.oid, relation: quoteTable(table), conditions };
}

/**
 * Where a range of so many rows ends that begins where the gap does; the gap's own end if it has no more.
 * Found by walking the primary key's index: comparing whole rows, `(a, b) > (…)`, is what such an index
 * is made for. Sets the transaction up to copy the range.
 */
export async function keyBound(
  connection: Connection,
  unit: SnapshotUnit,
  { range, rowsMax }: { readonly range: RangeBounds; readonly rowsMax: number },
): Promise<readonly string[] | null> {
  const columns = keyColumns(unit);
  await nameTypesOf(connection, unit);
  // Two rows, so that there is one behind the bound: the last range is never empty.
  const [row, next] = await connection.rows<{ bound: string[] }>(
    `SELECT ARRAY[${columns.map((column) => `${column}::text`).join(', ')}] AS bound
     FROM ${unit.relation} ${where(keyCondition(unit, range))}
     ORDER BY ${columns.join(', ')} OFFSET ${rowsMax - 1} LIMIT 2`,
  );
  const until = row === undefined || next === undefined ? range.until : row.bound;
  // A table in one piece is best read as it lies; a range of it through the index.
  await connection.rows(`SET LOCAL enable_seqscan = ${range.after === null && until === null}`);
  return until;
}

async function nameTypesOf(connection: Connection, { oid, of }: SnapshotUnit): Promise<void> {
  const schemas = await typeSchemas(connection, { oid, key: of.table.key });
  await connection.rows(`SET LOCAL search_path TO ${schemas}`);
}

/**
 * The `search_path` for comparing keys: operators of their types must be found by name, and an extension
 * may have a schema of its own.
 */
export async function typeSchemas(
  connection: Connection,
  { oid, key }: { readonly oid: number; readonly key: readonly string[] },
): Promise<string> {
  const [row] = await connection.rows<{ schemas: string | null }>(
    `SELECT string_agg(DISTINCT quote_ident(n.nspname), ', ') AS schemas FROM pg_attribute a
     JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace n ON n.oid = t.typnamespace
     WHERE a.attrelid = $1 AND a.attname = ANY($2) AND n.nspname <> 'pg_catalog'`,
    [oid, key],
  );
  return row?.schemas == null ? 'DEFAULT' : `pg_catalog, ${row.schemas}`;
}

/**
 * The same in pages. A range is published whole or not at all, so its size follows from the bytes that a
 * batch may have and what the relation has on average per page, out-of-line values included.
 */
export async function pageBound(
  connection: Connection,
  unit: SnapshotUnit,
  { range, bytesMax }: { readonly range: RangeBounds; readonly bytesMax: number },
): Promise<readonly string[] | null> {
  const [size] = await connection.rows<{ pages: number; bytes: number }>(
    `SELECT (pg_relation_size($1::oid) / current_setting('block_size')::int)::float8 AS pages,
       pg_table_size($1::oid)::float8 AS bytes`,
    [unit.oid],
  );
  const { pages, bytes } = size ?? { pages: 0, bytes: 0 };
  const step = Math.max(1, Math.floor((bytesMax * pages) / Math.max(1, bytes)));
  const next = Number(range.after?.[0] ?? 0) + step;
  const end = range.until === null ? pages : Number(range.until[0]);
  return next < end ? [String(next)] : range.until;
}

/**
 * What the bounds of a unit's ranges are of: the columns of its key with their types, in which it is ordered; or
 * the file whose pages they number, where another one says that all rows were written anew.
 */
export async function boundsBy(connection: Connection, unit: SnapshotUnit): Promise<string> {
  const { key, columns } = unit.of.table;
  if (key.length > 0) {
    const typeOf = (name: string) => columns.find((column) => column.name === name)?.type.oid;
    return key.map((name) => `${quoteName(name)} ${typeOf(name)}`).join(', ');
  }
  const [row] = await connection.rows<{ file: string | null }>(
    'SELECT pg_relation_filenode($1::oid)::text AS file',
    [unit.oid],
  );
  return row?.file ?? '';
}

/** The COPY of a range. `seen` restricts it to rows that were there in an earlier snapshot. */
export function copyRange(unit: SnapshotUnit, range: RangeBounds, seen: string | null): string {
  const { table } = unit.of;
  const conditions =
    table.key.length > 0
      ? keyCondition(unit, range)
      : [...unit.conditions, ...pageCondition(range)];
  if (seen !== null) conditions.push(seen);
  const select = `SELECT ${copySelect(table)} FROM ${unit.relation} ${where(conditions)}`;
  return `COPY (${select}) TO STDOUT (FORMAT binary)`;
}

function keyCondition(unit: SnapshotUnit, { after, until }: RangeBounds): string[] {
  const columns = keyColumns(unit).join(', ');
  return [
    ...unit.conditions,
    ...(after === null ? [] : [`(${columns}) > (${literals(after)})`]),
    ...(until === null ? [] : [`(${columns}) <= (${literals(until)})`]),
  ];
}

/** With their table, so that they are never an output column. */
function keyColumns({ of: { table } }: SnapshotUnit): string[] {
  return table.key.map((name) => `${quoteName(table.name)}.${quoteName(name)}`);
}

function literals(bound: readonly string[]): string {
  return bound.map((value) => escapeLiteral(value)).join(', ');
}

function pageCondition({ after, until }: RangeBounds): string[] {
  return [
    ...(after === null ? [] : [`ctid >= '(${Number(after[0])},0)'::tid`]),
    ...(until === null ? [] : [`ctid < '(${Number(until[0])},0)'::tid`]),
  ];
}

function where(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
}
