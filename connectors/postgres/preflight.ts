import { MillraceError } from '../../errors.ts';
import { catalogue, type CataloguedTable } from './catalogue.ts';
import { checkRules, withRules } from './column-rules.ts';
import type { Connection } from './connection.ts';
import type { ResolvedOptions } from './options.ts';
import { Problems } from './problems.ts';
import { planPublication, type PublicationPlan } from './publication.ts';
import { checkSlot, replicationSlot, type Slot } from './replication-slot.ts';
import {
  checkPrivilege,
  checkVersion,
  checkWalLevel,
  quoteTable,
  server,
  type Server,
} from './server.ts';
import type { PgTable } from './table.ts';
import { type TableFilter, tableFilter } from './table-filter.ts';

/** A source that can be captured, and what is still to be made there. */
export interface Preflight {
  readonly server: Server;
  readonly tables: readonly CataloguedTable[];
  readonly publication: PublicationPlan;
  readonly slot: Slot | null;
}

/**
 * Looks at everything that capturing needs and changes nothing. Throws all that is missing at once, each
 * with the SQL that mends it. `beside`: the pipeline runs, and reads its slot itself.
 */
export async function preflight(
  connection: Connection,
  options: ResolvedOptions,
  { beside = false }: { readonly beside?: boolean } = {},
): Promise<Preflight> {
  const found = await server(connection);
  checkVersion(found);
  const problems = new Problems();
  await problems.note(() => checkWalLevel(found));
  await problems.note(() => checkPrivilege(found));
  await problems.note(() => checkFailover(options, found));
  const tables = await capturedTables(connection, options, problems);
  await problems.note(() => checkReadable(tables, found));
  await problems.note(() => checkIdentities(tables, found));
  const publication = await problems.note(() =>
    publicationFor(connection, { options, tables, found }),
  );
  const slot = await replicationSlot(connection, options.slot);
  await problems.note(() => checkPromoted(found, slot, options));
  await problems.note(() => {
    if (slot === null) checkFree('replication slot', found.slotsFree, 'max_replication_slots');
    else checkSlot(beside ? { ...slot, activePid: null } : slot, options.slot, found.database);
  });
  if (!beside) {
    await problems.note(() => checkFree('WAL sender', found.sendersFree, 'max_wal_senders'));
  }
  problems.raise();
  if (publication === null) throw new Error('a publication without a plan and without a problem');
  return { server: found, tables, publication, slot };
}

function checkFailover(options: ResolvedOptions, found: Server): void {
  if (options.slotFailover && found.major < 17) {
    throw new MillraceError('CONFIG_INVALID', `PostgreSQL ${found.major} has no failover slots.`, {
      place: 'source.slotFailover',
      expected: 'PostgreSQL 17 or newer, or false',
    });
  }
}

function publicationFor(
  connection: Connection,
  by: {
    readonly options: ResolvedOptions;
    readonly tables: readonly CataloguedTable[];
    readonly found: Server;
  },
): Promise<PublicationPlan> | null {
  const { options, tables, found } = by;
  // No table matches: that is said already.
  if (tables.length === 0) return null;
  const { publication: name, filters = {} } = options;
  return planPublication(connection, { name, tables, filters, server: found });
}

/** A standby's copy of the slot is readable when it is promoted, and not before. */
function checkPromoted(server: Server, slot: Slot | null, options: ResolvedOptions): void {
  const waits = slot?.synchronised ?? options.slotFailover;
  if (!server.inRecovery || !waits) return;
  throw new MillraceError('SOURCE_STANDBY', 'The server is a standby that was not promoted.', {
    place: `slot ${options.slot}`,
    expected: 'the primary, or a standby that has become one',
  });
}

/**
 * The tables that are to be captured, with their rules, as the catalogue has them now. Throws what is
 * wrong with them, or notes it and leaves it to the caller.
 */
export async function capturedTables(
  connection: Connection,
  options: ResolvedOptions,
  problems?: Problems,
): Promise<CataloguedTable[]> {
  const own = problems ?? new Problems();
  const all = await catalogue(connection);
  const filter = tableFilter(options.tables);
  await own.note(() =>
    checkKnown(
      filter,
      all.map(({ table }) => table),
    ),
  );
  const plain = all.filter(({ table }) => filter.matches(table.schema, table.name));
  for (const { table } of plain) await own.note(() => checkRules(table, options));
  if (problems === undefined) own.raise();
  return plain.map((one) => ({ ...one, table: withRules(one.table, options) }));
}

function checkKnown(filter: TableFilter, tables: readonly PgTable[]): void {
  const unmatched = filter.unmatched(tables);
  if (unmatched.length === 0) return;
  const there = tables.map(({ schema, name }) => `${schema}.${name}`);
  const more = there.length > 20 ? `, and ${there.length - 20} more` : '';
  throw new MillraceError('SOURCE_TABLE_UNKNOWN', `No table is called ${unmatched.join(' or ')}.`, {
    place: 'source.tables',
    expected:
      there.length === 0 ? 'the database has no tables' : there.slice(0, 20).join(', ') + more,
  });
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
    remedy: problems.map(({ sql }) => sql).join('\n'),
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
