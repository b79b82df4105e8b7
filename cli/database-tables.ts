import { Connection, placeOf } from '../connectors/postgres/connection.ts';
import { connectionSettings } from '../connectors/postgres/connection-settings.ts';
import { MillraceError } from '../errors.ts';
import type { CliContext } from './terminal.ts';

export interface FoundDatabase {
  /** Without the password. */
  readonly server: string;
  readonly database: string;
  readonly walLevel: string;
  readonly tables: readonly FoundTable[];
}

export interface FoundTable {
  /** `schema.table`. */
  readonly name: string;
  /** By the statistics of the server; null if it has none yet. */
  readonly rowsEstimated: number | null;
  readonly bytes: number;
  readonly key: readonly string[];
  /** Whether the server says which row an update or a delete meant. */
  readonly identified: boolean;
}

/** Ordinary and partitioned tables of users, not the partitions themselves. */
const TABLES = `
  SELECT n.nspname AS schema, c.relname AS name,
    CASE WHEN c.relkind = 'r' THEN c.reltuples::float8
      ELSE (SELECT sum(greatest(l.reltuples, 0))::float8 FROM pg_partition_tree(c.oid) t
            JOIN pg_class l ON l.oid = t.relid WHERE t.isleaf) END AS rows,
    CASE WHEN c.relkind = 'r' THEN pg_table_size(c.oid)::float8
      ELSE (SELECT coalesce(sum(pg_table_size(relid)), 0)::float8 FROM pg_partition_tree(c.oid))
      END AS bytes,
    CASE c.relreplident WHEN 'd' THEN EXISTS
        (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)
      ELSE c.relreplident <> 'n' END AS identified,
    ARRAY(SELECT a.attname::text FROM pg_index i
      CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
      WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY k.place) AS key
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND has_schema_privilege(n.oid, 'USAGE')
  ORDER BY 1, 2`;

interface Row {
  readonly schema: string;
  readonly name: string;
  readonly rows: number;
  readonly bytes: number;
  readonly key: readonly string[];
  readonly identified: boolean;
}

/** Looks at a database without changing it. Throws `SOURCE_…`; `SOURCE_TABLE_UNKNOWN` if it is empty. */
export async function findTables(
  url: string | undefined,
  { environment, signal }: CliContext,
): Promise<FoundDatabase> {
  const settings = connectionSettings({ environment, ...(url === undefined ? {} : { url }) });
  await using connection = await Connection.open(settings, signal);
  const rows = await connection.rows<Row>(TABLES);
  const [wal] = await connection.rows<{ readonly wal_level: string }>('SHOW wal_level');
  if (rows.length === 0) {
    throw new MillraceError('SOURCE_TABLE_UNKNOWN', 'the database has no tables', {
      place: placeOf(settings),
      expected: 'at least one table that this user may see',
      remedy: 'Name another database with --url, or create a table first.',
    });
  }
  return {
    server: placeOf(settings),
    database: settings.database,
    walLevel: wal?.wal_level ?? 'unknown',
    tables: rows.map(({ schema, name, rows: estimated, ...rest }) => ({
      ...rest,
      name: `${schema}.${name}`,
      rowsEstimated: estimated < 0 ? null : estimated,
    })),
  };
}
