import { MillraceError } from '../../errors.ts';
import { catalogue, type CataloguedTable } from './catalogue.ts';
import { checkRules, withRules } from './column-rules.ts';
import type { Connection } from './connection.ts';
import type { ResolvedOptions } from './options.ts';
import { planPublication, type PublicationPlan } from './publication.ts';
import { checkSlot, replicationSlot, type Slot } from './replication-slot.ts';
import { checkServer, quoteTable, server, type Server } from './server.ts';
import { tableFilter } from './table-filter.ts';

/** A source that can be captured, and what is still to be made there. */
export interface Preflight {
  readonly server: Server;
  readonly tables: readonly CataloguedTable[];
  readonly publication: PublicationPlan;
  readonly slot: Slot | null;
}

/**
 * Looks at everything that capturing needs and changes nothing. Throws for the first thing that is
 * missing, with the SQL that mends it.
 */
export async function preflight(
  connection: Connection,
  options: ResolvedOptions,
): Promise<Preflight> {
  const found = await server(connection);
  checkServer(found);
  if (options.slotFailover && found.major < 17) {
    throw new MillraceError('CONFIG_INVALID', `PostgreSQL ${found.major} has no failover slots.`, {
      place: 'source.slotFailover',
      expected: 'PostgreSQL 17 or newer, or false',
    });
  }
  const tables = await capturedTables(connection, options);
  checkReadable(tables, found);
  checkIdentities(tables, found);
  const publication = await planPublication(connection, {
    name: options.publication,
    tables,
    filters: options.filters ?? {},
    server: found,
  });
  const slot = await replicationSlot(connection, options.slot);
  if (slot !== null) checkSlot(slot, options.slot, found.database);
  else checkFree('replication slot', found.slotsFree, 'max_replication_slots');
  checkFree('WAL sender', found.sendersFree, 'max_wal_senders');
  return { server: found, tables, publication, slot };
}

/** The tables that are to be captured, with their rules, as the catalogue has them now. */
export async function capturedTables(
  connection: Connection,
  options: ResolvedOptions,
): Promise<CataloguedTable[]> {
  const plain = captured(await catalogue(connection), options.tables);
  for (const { table } of plain) checkRules(table, options);
  return plain.map((one) => ({ ...one, table: withRules(one.table, options) }));
}

function captured(all: readonly CataloguedTable[], patterns: readonly string[]): CataloguedTable[] {
  const filter = tableFilter(patterns);
  const names = all.map(({ table }) => table);
  const [unmatched] = filter.unmatched(names);
  if (unmatched !== undefined) {
    const there = names.map(({ schema, name }) => `${schema}.${name}`);
    const more = there.length > 20 ? `, and ${there.length - 20} more` : '';
    throw new MillraceError('SOURCE_TABLE_UNKNOWN', `No table is called ${unmatched}.`, {
      place: 'source.tables',
      expected:
        there.length === 0 ? 'the database has no tables' : there.slice(0, 20).join(', ') + more,
    });
  }
  return all.filter(({ table }) => filter.matches(table.schema, table.name));
}

function checkReadable(tables: readonly CataloguedTable[], server: Server): void {
  const closed = tables.filter((one) => !one.selectable).map(({ table }) => quoteTable(table));
  if (closed.length === 0) return;
  throw new MillraceError('SOURCE_PRIVILEGE', `The role ${server.user} may not read all tables.`, {
    place: closed.join(', '),
    remedy: `As their owner: GRANT SELECT ON ${closed.join(', ')} TO "${server.user}";`,
  });
}

/**
 * Once a table is published, the server refuses the application's updates and deletes of a table whose
 * rows it cannot name: a fault that we would bring into a sound database.
 */
function checkIdentities(tables: readonly CataloguedTable[], { major }: Server): void {
  const problems = tables.flatMap((one) => identityProblem(one, major) ?? []);
  if (problems.length === 0) return;
  throw new MillraceError('SOURCE_IDENTITY', problems.map(({ why }) => why).join(' '), {
    place: problems.map(({ table }) => table).join(', '),
    remedy: problems.map(({ sql }) => sql).join(' '),
  });
}

function identityProblem(
  one: CataloguedTable,
  major: number,
): { readonly table: string; readonly why: string; readonly sql: string } | null {
  const { table, identityIndex } = one;
  const name = quoteTable(table);
  const keyUsable = table.key.length > 0 && !one.keyDeferrable;
  const full = `ALTER TABLE ${name} REPLICA IDENTITY FULL;`;
  const mend = keyUsable ? `ALTER TABLE ${name} REPLICA IDENTITY DEFAULT;` : full;
  if (table.key.some((column) => one.generated.includes(column))) {
    return {
      table: name,
      why: `The primary key of ${name} has a generated column, which the server does not stream.`,
      sql: `Give ${name} a primary key of stored columns, or leave it out.`,
    };
  }
  switch (table.identity) {
    case 'full':
      // From 18 on the whole row includes what is computed, and that is not published.
      if (major < 18 || one.generated.length === 0) return null;
      return {
        table: name,
        why: `${name} has REPLICA IDENTITY FULL and generated columns: once it is published, its updates and deletes would fail in your application.`,
        sql: keyUsable ? mend : `Give ${name} a primary key, or leave it out.`,
      };
    case 'default':
      if (keyUsable) return null;
      return {
        table: name,
        why: `${name} has no ${one.keyDeferrable ? 'immediate ' : ''}primary key: once it is published, its updates and deletes would fail in your application.`,
        sql: full,
      };
    case 'nothing':
      return {
        table: name,
        why: `${name} has REPLICA IDENTITY NOTHING: once it is published, its updates and deletes would fail in your application.`,
        sql: mend,
      };
    case 'index': {
      if (identityIndex === null) {
        return { table: name, why: `The replica identity index of ${name} is gone.`, sql: mend };
      }
      const lacking = table.key.filter((column) => !identityIndex.includes(column));
      if (lacking.length === 0) return null;
      return {
        table: name,
        why: `The replica identity index of ${name} lacks the key column ${lacking.join(', ')}: its deletes would not say which row.`,
        sql: mend,
      };
    }
  }
}

function checkFree(what: string, free: number, setting: string): void {
  if (free > 0) return;
  throw new MillraceError('SLOTS_EXHAUSTED', `The server has no free ${what}.`, {
    remedy: `Drop one that is not needed, or: ALTER SYSTEM SET ${setting} = …; and restart the server.`,
  });
}
