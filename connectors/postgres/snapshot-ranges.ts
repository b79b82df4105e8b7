import { escapeLiteral } from 'pg';
import type { CataloguedTable } from './catalogue.ts';
import type { Connection } from './connection.ts';
import { copySelect } from './copy-binary.ts';
import { filterOf, type RowFilters } from './row-filters.ts';
import { quoteName, quoteTable } from './server.ts';

/**
 * What is read from beginning to end: a table, or one partition of a partitioned table without a key
 * (its rows can be told apart by their place only, and each partition has places of its own).
 */
export interface SnapshotUnit {
  /** `schema.table`, as in the position. */
  readonly name: string;
  readonly of: CataloguedTable;
  readonly oid: number;
  /** Quoted. */
  readonly relation: string;
  /** Of the rows wanted, as SQL about the row `t`. */
  readonly conditions: readonly string[];
}

/** A part of a unit: rows after one bound up to the next. Null bounds are open. */
export interface SnapshotRange {
  readonly after: readonly string[] | null;
  readonly until: readonly string[] | null;
}

export async function snapshotUnits(
  connection: Connection,
  tables: readonly CataloguedTable[],
  filters: RowFilters = {},
): Promise<SnapshotUnit[]> {
  const units: SnapshotUnit[] = [];
  for (const of of tables) {
    const { table } = of;
    const filter = filterOf(of, filters);
    const conditions = filter === null ? [] : [`(${filter}\n)`];
    if (table.key.length > 0 || !of.partitioned) {
      const name = `${table.schema}.${table.name}`;
      units.push({ name, of, oid: table.oid, relation: quoteTable(table), conditions });
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
        relation: quoteTable(leaf),
        conditions,
      });
    }
  }
  return units;
}

/**
 * Ranges of a keyed unit, each of so many rows, found by walking the primary key's index: comparing
 * whole rows, `(a, b) > (…)`, is what such an index is made for.
 */
export async function* keyRanges(
  connection: Connection,
  unit: SnapshotUnit,
  from: { readonly after: readonly string[] | null; readonly rowsPerRange: number },
): AsyncGenerator<SnapshotRange> {
  const columns = unit.of.table.key.map((name) => `t.${quoteName(name)}`);
  await nameTypesOf(connection, unit);
  let { after } = from;
  for (;;) {
    // Two rows, so that there is one behind the bound: the last range is never empty.
    const [row, next] = await connection.rows<{ bound: string[] }>(
      `SELECT ARRAY[${columns.map((column) => `${column}::text`).join(', ')}] AS bound
       FROM ${unit.relation} t ${where(keyCondition(unit, { after, until: null }))}
       ORDER BY ${columns.join(', ')} OFFSET ${from.rowsPerRange - 1} LIMIT 2`,
    );
    const until = next === undefined ? null : (row?.bound ?? null);
    // A table in one piece is best read as it lies; a range of it through the index.
    await connection.rows(`SET LOCAL enable_seqscan = ${after === null && until === null}`);
    yield { after, until };
    if (until === null) return;
    after = until;
  }
}

/** Operators of the key's types must be found by name; an extension may have its own schema. */
async function nameTypesOf(connection: Connection, unit: SnapshotUnit): Promise<void> {
  const [row] = await connection.rows<{ schemas: string | null }>(
    `SELECT string_agg(DISTINCT quote_ident(n.nspname), ', ') AS schemas FROM pg_attribute a
     JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace n ON n.oid = t.typnamespace
     WHERE a.attrelid = $1 AND a.attname = ANY($2) AND n.nspname <> 'pg_catalog'`,
    [unit.oid, unit.of.table.key],
  );
  const path = row?.schemas == null ? 'DEFAULT' : `pg_catalog, ${row.schemas}`;
  await connection.rows(`SET LOCAL search_path TO ${path}`);
}

/**
 * Ranges of pages. A range is published whole or not at all, so its size follows from the bytes that a
 * batch may have and what the relation has on average per page, out-of-line values included.
 */
export async function* pageRanges(
  connection: Connection,
  unit: SnapshotUnit,
  from: { readonly after: readonly string[] | null; readonly bytesPerRange: number },
): AsyncGenerator<SnapshotRange> {
  const [size] = await connection.rows<{ pages: number; bytes: number }>(
    `SELECT (pg_relation_size($1::oid) / current_setting('block_size')::int)::float8 AS pages,
       pg_table_size($1::oid)::float8 AS bytes`,
    [unit.oid],
  );
  const { pages, bytes } = size ?? { pages: 0, bytes: 0 };
  const step = Math.max(1, Math.floor((from.bytesPerRange * pages) / Math.max(1, bytes)));
  let first = Number(from.after?.[0] ?? 0);
  for (;;) {
    const next = first + step;
    yield { after: [String(first)], until: next < pages ? [String(next)] : null };
    if (next >= pages) return;
    first = next;
  }
}

/** The COPY of a range. `seen` restricts it to rows that were there in an earlier snapshot. */
export function copyRange(unit: SnapshotUnit, range: SnapshotRange, seen: string | null): string {
  const { table } = unit.of;
  const conditions =
    table.key.length > 0
      ? keyCondition(unit, range)
      : [...unit.conditions, ...pageCondition(range)];
  if (seen !== null) conditions.push(seen);
  const select = `SELECT ${copySelect(table)} FROM ${unit.relation} t ${where(conditions)}`;
  return `COPY (${select}) TO STDOUT (FORMAT binary)`;
}

function keyCondition(unit: SnapshotUnit, { after, until }: SnapshotRange): string[] {
  const columns = unit.of.table.key.map((name) => `t.${quoteName(name)}`).join(', ');
  return [
    ...unit.conditions,
    ...(after === null ? [] : [`(${columns}) > (${literals(after)})`]),
    ...(until === null ? [] : [`(${columns}) <= (${literals(until)})`]),
  ];
}

function literals(bound: readonly string[]): string {
  return bound.map((value) => escapeLiteral(value)).join(', ');
}

function pageCondition({ after, until }: SnapshotRange): string[] {
  return [
    ...(after === null ? [] : [`t.ctid >= '(${Number(after[0])},0)'::tid`]),
    ...(until === null ? [] : [`t.ctid < '(${Number(until[0])},0)'::tid`]),
  ];
}

function where(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
}
