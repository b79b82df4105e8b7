import type { Connection } from './connection.ts';
import type { PgColumn, PgTable, PgType, ReplicaIdentity } from './table.ts';

/** A table as the catalogue has it, with what capturing needs to know besides its columns. */
export interface CataloguedTable {
  readonly table: PgTable;
  readonly partitioned: boolean;
  /** Columns of the replica identity index; null if there is none. */
  readonly identityIndex: readonly string[] | null;
  /** A deferrable primary key cannot identify rows for replication. */
  readonly keyDeferrable: boolean;
  /** Columns that the server computes; it does not stream them, so they are not captured. */
  readonly generated: readonly string[];
  /** Estimate of the statistics; 0 if there are none. */
  readonly rowsEstimated: number;
  readonly selectable: boolean;
  readonly owned: boolean;
}

interface TableRow {
  oid: number;
  schema: string;
  name: string;
  partitioned: boolean;
  identity: 'd' | 'f' | 'i' | 'n';
  rows: number;
  selectable: boolean;
  owned: boolean;
  columns: {
    name: string;
    type: number;
    modifier: number;
    type_name: string;
    not_null: boolean;
    generated: boolean;
    identity: boolean;
    dimensions: number;
    default: string | null;
  }[];
  key: string[] | null;
  key_deferrable: boolean | null;
  identity_index: string[] | null;
}

/** Partitions are left out: their changes are published as their root's. */
const TABLES = `
  SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind = 'p' AS partitioned,
    c.relreplident AS identity,
    greatest(0, CASE c.relkind WHEN 'r' THEN c.reltuples ELSE (
      SELECT sum(greatest(0, p.reltuples)) FROM pg_partition_tree(c.oid) t JOIN pg_class p ON p.oid = t.relid
      WHERE t.isleaf) END)::float8 AS rows,
    has_table_privilege(c.oid, 'SELECT') AS selectable,
    pg_has_role(c.relowner, 'USAGE') AS owned,
    (SELECT coalesce(json_agg(json_build_object(
        'name', a.attname, 'type', a.atttypid::int8, 'modifier', a.atttypmod,
        'type_name', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull,
        'generated', a.attgenerated <> '', 'identity', a.attidentity <> '', 'dimensions', a.attndims,
        'default', (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
          WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated = '')) ORDER BY a.attnum), '[]')
      FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
    (SELECT json_agg(a.attname ORDER BY k.place)
      FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place), pg_attribute a
      WHERE i.indrelid = c.oid AND i.indisprimary AND k.place <= i.indnkeyatts
        AND a.attrelid = c.oid AND a.attnum = k.attnum) AS key,
    (SELECT NOT i.indimmediate FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary) AS key_deferrable,
    (SELECT json_agg(a.attname ORDER BY k.place)
      FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place), pg_attribute a
      WHERE i.indrelid = c.oid AND i.indisreplident AND a.attrelid = c.oid AND a.attnum = k.attnum) AS identity_index
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND NOT c.relispartition`;

const USER_TABLES = `${TABLES}
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND n.nspname !~ '^pg_(toast|temp)'
  ORDER BY n.nspname, c.relname`;

/** All permanent tables of the database, by name. */
export async function catalogue(connection: Connection): Promise<CataloguedTable[]> {
  return resolve(connection, await connection.rows<TableRow>(USER_TABLES));
}

/** A table as it is now; null if it is gone. */
export async function cataloguedTable(
  connection: Connection,
  oid: number,
): Promise<CataloguedTable | null> {
  const rows = await connection.rows<TableRow>(`${TABLES} AND c.oid = $1`, [oid]);
  return (await resolve(connection, rows))[0] ?? null;
}

/** The same by name, `schema.table`. */
export async function tableByName(
  connection: Connection,
  name: string,
): Promise<CataloguedTable | null> {
  const named = `${TABLES} AND n.nspname || '.' || c.relname = $1`;
  const rows = await connection.rows<TableRow>(named, [name]);
  return (await resolve(connection, rows))[0] ?? null;
}

async function resolve(connection: Connection, rows: TableRow[]): Promise<CataloguedTable[]> {
  const types = await typesOf(connection, [
    ...new Set(rows.flatMap((row) => row.columns.map((column) => column.type))),
  ]);
  return rows.map((row) => {
    const columns = row.columns
      .filter((column) => !column.generated)
      .map((column): PgColumn => ({
        name: column.name,
        type: resolveType(types, column.type, {
          modifier: column.modifier,
          name: column.type_name,
          dimensions: column.dimensions,
        }),
        optional: !column.not_null,
        default: column.default,
        identity: column.identity,
      }));
    return {
      table: {
        oid: row.oid,
        schema: row.schema,
        name: row.name,
        columns,
        key: row.key ?? [],
        identity: IDENTITIES[row.identity],
      },
      partitioned: row.partitioned,
      identityIndex: row.identity_index,
      keyDeferrable: row.key_deferrable ?? false,
      generated: row.columns.filter((column) => column.generated).map(({ name }) => name),
      rowsEstimated: row.rows,
      selectable: row.selectable,
      owned: row.owned,
    };
  });
}

const IDENTITIES: Readonly<Record<TableRow['identity'], ReplicaIdentity>> = {
  d: 'default',
  f: 'full',
  i: 'index',
  n: 'nothing',
};

interface TypeRow {
  oid: number;
  /** Of a domain: what it is made of. 0 for others. */
  base: number;
  base_modifier: number;
  base_name: string | null;
  base_dimensions: number;
  /** Of an array: what it holds. 0 for others. */
  element: number;
  labels: string[] | null;
  /** Of a range: what it is a range of; of a multirange: its range. 0 for others. */
  subtype: number;
  range: number;
  /** Of a composite type: its columns. */
  fields: { type: number; modifier: number; name: string }[] | null;
}

/** The types named and all that they are made of. */
async function typesOf(
  connection: Connection,
  oids: readonly number[],
): Promise<ReadonlyMap<number, TypeRow>> {
  const rows = await connection.rows<TypeRow>(
    `WITH RECURSIVE needed(oid) AS (
       SELECT unnest($1::oid[])
       UNION SELECT part.oid FROM needed JOIN pg_type t ON t.oid = needed.oid,
         LATERAL (SELECT * FROM (VALUES (t.typbasetype), (CASE WHEN t.typcategory = 'A' THEN t.typelem END)) v
           UNION ALL SELECT unnest(ARRAY[r.rngtypid, r.rngsubtype]) FROM pg_range r
             WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
           UNION ALL SELECT a.atttypid FROM pg_attribute a
             WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) part(oid)
       WHERE part.oid <> 0)
     SELECT t.oid, t.typbasetype AS base, t.typtypmod AS base_modifier,
       CASE WHEN t.typbasetype <> 0 THEN format_type(t.typbasetype, t.typtypmod) END AS base_name,
       t.typndims AS base_dimensions,
       CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END AS element,
       (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid) AS labels,
       coalesce((SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid), 0) AS subtype,
       coalesce((SELECT r.rngtypid FROM pg_range r WHERE r.rngmultitypid = t.oid), 0) AS range,
       (SELECT json_agg(json_build_object('type', a.atttypid::int8, 'modifier', a.atttypmod,
           'name', format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum)
         FROM pg_attribute a WHERE a.attrelid = t.typrelid AND t.typtype = 'c' AND a.attnum > 0
           AND NOT a.attisdropped) AS fields
     FROM needed JOIN pg_type t ON t.oid = needed.oid`,
    [oids],
  );
  return new Map(rows.map((row) => [row.oid, row]));
}

interface NamedType {
  readonly modifier: number;
  readonly name: string;
  readonly dimensions?: number;
}

/** Domains become what they are made of: the wire has nothing else of them. */
function resolveType(types: ReadonlyMap<number, TypeRow>, oid: number, as: NamedType): PgType {
  const row = types.get(oid);
  if (row !== undefined && row.base !== 0) {
    return resolveType(types, row.base, {
      modifier: row.base_modifier,
      name: row.base_name ?? as.name,
      dimensions: row.base_dimensions,
    });
  }
  const { modifier, name } = as;
  const part = (of: number): PgType => resolveType(types, of, { modifier: -1, name: '' });
  const { element = 0, subtype = 0, range = 0, fields = null } = row ?? {};
  return {
    oid,
    ...as,
    labels: row?.labels ?? null,
    element:
      element === 0
        ? null
        : resolveType(types, element, { modifier, name: name.replace(/\[\]$/, '') }),
    ...(subtype === 0 ? {} : { range: part(subtype) }),
    ...(range === 0 ? {} : { multirange: part(range) }),
    ...(fields === null ? {} : { fields: fields.map((of) => resolveType(types, of.type, of)) }),
  };
}
