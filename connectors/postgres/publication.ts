import { escapeLiteral } from 'pg';
import { MillraceError } from '../../errors.ts';
import type { CataloguedTable } from './catalogue.ts';
import type { Connection } from './connection.ts';
import {
  checkFilters,
  filterComment,
  ownComment,
  publishedAs,
  type RowFilters,
} from './row-filters.ts';
import { quoteName, quoteTable, type Server } from './server.ts';

/** What must be done so that the publication covers the captured tables: SQL, empty if nothing. */
export interface PublicationPlan {
  readonly exists: boolean;
  /** Tables that it did not cover so far, as `schema.table`. */
  readonly added: readonly string[];
  readonly statements: readonly string[];
}

interface PublicationRow {
  owned: boolean;
  all_tables: boolean;
  via_root: boolean;
  comment: string | null;
  complete: boolean;
  /** Named one by one, and all that it covers, as quoted `schema.table`. */
  named: string[];
  covered: string[];
}

/**
 * Compares the publication with the tables and says what would mend it. Tables that it names and we do
 * not capture are dropped from it, if it is ours; of somebody else's publication they are ignored when
 * they come. Throws `SOURCE_PRIVILEGE` if we may not do what is needed, with the SQL.
 */
export async function planPublication(
  connection: Connection,
  about: {
    readonly name: string;
    readonly tables: readonly CataloguedTable[];
    /** Conditions of the rows wanted, by `schema.table`. */
    readonly filters?: RowFilters;
    readonly server: Server;
  },
): Promise<PublicationPlan> {
  const { name, tables, server, filters = {} } = about;
  checkFilters(tables, filters, server);
  const quoted = quoteName(name);
  const notOurs = tables.filter((one) => !one.owned && !server.superuser);
  const found = await publication(connection, name);
  const all = tables.map((one) => publishedAs(one, filters)).join(', ');
  const comment = filterComment(filters);
  const remark = `COMMENT ON PUBLICATION ${quoted} IS ${comment === null ? 'NULL' : escapeLiteral(comment)}`;
  if (found === null) {
    const sql = `CREATE PUBLICATION ${quoted} FOR TABLE ${all} WITH (publish_via_partition_root = true)`;
    const statements = comment === null ? [sql] : [sql, remark];
    if (!server.mayCreate || notOurs.length > 0) {
      throw refused(`may not create the publication ${name}`, server, statements);
    }
    return { exists: false, added: [], statements };
  }
  const missing = tables.filter(({ table }) => !found.covered.includes(quoteTable(table)));
  const refiltered = ownComment(found.comment) !== comment;
  if (found.all_tables && comment !== null) throw unfilterable(name);
  const settings = [
    ...(found.complete ? [] : [`publish = 'insert, update, delete, truncate'`]),
    ...(found.via_root || !tables.some((one) => one.partitioned)
      ? []
      : ['publish_via_partition_root = true']),
  ];
  const statements = settings.map((setting) => `ALTER PUBLICATION ${quoted} SET (${setting})`);
  if (refiltered) statements.push(`ALTER PUBLICATION ${quoted} SET TABLE ${all}`, remark);
  else if (missing.length > 0) {
    const more = missing.map((one) => publishedAs(one, filters)).join(', ');
    statements.push(`ALTER PUBLICATION ${quoted} ADD TABLE ${more}`);
  }
  const changesForeign = notOurs.some((one) => refiltered || missing.includes(one));
  if (statements.length > 0 && (!found.owned || changesForeign)) {
    throw refused(`may not change the publication ${name}`, server, statements);
  }
  const wanted = new Set(tables.map(({ table }) => quoteTable(table)));
  const surplus = found.named.filter((table) => !wanted.has(table));
  if (found.owned && !found.all_tables && !refiltered && surplus.length > 0) {
    statements.push(`ALTER PUBLICATION ${quoted} DROP TABLE ${surplus.join(', ')}`);
  }
  const added = missing.map(({ table }) => `${table.schema}.${table.name}`);
  return { exists: true, added, statements };
}

async function publication(connection: Connection, name: string): Promise<PublicationRow | null> {
  const rows = await connection.rows<PublicationRow>(
    `SELECT pg_has_role(p.pubowner, 'USAGE') AS owned, p.puballtables AS all_tables,
       p.pubviaroot AS via_root, obj_description(p.oid, 'pg_publication') AS comment,
       p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate AS complete,
       coalesce((SELECT json_agg(format('"%s"."%s"', replace(n.nspname, '"', '""'), replace(c.relname, '"', '""')))
         FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.prpubid = p.oid), '[]') AS named,
       coalesce((SELECT json_agg(DISTINCT format('"%s"."%s"', replace(n.nspname, '"', '""'), replace(c.relname, '"', '""')))
         FROM pg_publication_tables t
         JOIN pg_namespace own ON own.nspname = t.schemaname
         JOIN pg_class leaf ON leaf.relname = t.tablename AND leaf.relnamespace = own.oid,
         LATERAL (SELECT leaf.oid AS relid UNION SELECT relid FROM pg_partition_ancestors(leaf.oid)) a
         JOIN pg_class c ON c.oid = a.relid JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE t.pubname = p.pubname), '[]') AS covered
     FROM pg_publication p WHERE p.pubname = $1`,
    [name],
  );
  return rows[0] ?? null;
}

function refused(what: string, server: Server, statements: readonly string[]): MillraceError {
  return new MillraceError('SOURCE_PRIVILEGE', `The role ${server.user} ${what}.`, {
    expected: 'CREATE on the database and ownership of the tables, or a publication made for us',
    remedy: `As a superuser: ${statements.join('; ')};`,
  });
}

function unfilterable(name: string): MillraceError {
  return new MillraceError('CONFIG_INVALID', `The publication ${name} is for all tables.`, {
    place: 'source.filters',
    expected: 'a publication that lists its tables: only such a one can filter rows',
  });
}
