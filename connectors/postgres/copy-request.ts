import { MillraceError } from '../../errors.ts';
import type { CopyRequest } from '../connector.ts';
import { tableByName, type CataloguedTable } from './catalogue.ts';
import type { Connection } from './connection.ts';
import { CopyJobs, refused } from './copy-jobs.ts';
import type { ResolvedOptions } from './options.ts';
import type { Preflight } from './preflight.ts';
import { quoteTable } from './server.ts';
import { tableFilter } from './table-filter.ts';
import type { CopiesState, FollowedTable, WalPosition } from './wal-position.ts';

/**
 * A request that can be carried out, with the table's own name. Throws `SNAPSHOT_REFUSED`: a table
 * that is not captured, a condition for one without a key, or one that the server does not take.
 */
export async function checkedCopy(
  connection: Connection,
  { action, table, where: condition }: CopyRequest,
  options: ResolvedOptions,
): Promise<{ readonly table: string; readonly where: string | null }> {
  if (action !== 'start') return { table, where: null };
  const where = condition ?? null;
  const found = await tableByName(connection, table);
  const { schema, name } = found?.table ?? { schema: '', name: '' };
  if (found === null || !tableFilter(options.tables).matches(schema, name)) {
    throw refused(`${table} is not captured`, table, options.tables.join(', '));
  }
  if (found.table.key.length === 0 && where !== null) {
    throw refused(
      `${table} has no primary key: which rows are to be replaced cannot be said`,
      table,
      'all of the table, without --where',
    );
  }
  if (where !== null) await checkCondition(connection, found, where);
  return { table, where };
}

/** Plans the query and runs nothing. */
async function checkCondition(
  connection: Connection,
  { table }: CataloguedTable,
  where: string,
): Promise<void> {
  await connection.rows('SET default_transaction_read_only = on');
  try {
    await connection.client.query({
      // A statement with parameters is one statement, whatever is in it.
      text: `EXPLAIN SELECT FROM ${quoteTable(table)} WHERE (${where}\n) LIMIT $1`,
      values: [1],
    });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new MillraceError('SNAPSHOT_REFUSED', `The server refuses the condition: ${message}.`, {
      place: '--where',
      expected: 'a condition of SQL about columns of the table',
      cause,
    });
  }
}

/**
 * The position to go on from, if the configuration has other tables than before; null if it has the same.
 * It has to be durable before the publication is changed: a crash in between forgets no table.
 *
 * A snapshot that was interrupted does not take a new table in: the stream has none of its changes from
 * before the publication had it, and whoever had written to it then may commit at any time.
 */
export async function withNewTables(
  connection: Connection,
  about: {
    readonly found: Preflight;
    readonly at: WalPosition;
    readonly options: ResolvedOptions;
  },
): Promise<WalPosition | null> {
  const { found, at, options } = about;
  if (at.snapshot === null) {
    const copies = await tablesToCopy(connection, about);
    return copies === null ? null : { ...at, copies };
  }
  const { added = [] } = at.snapshot;
  const captured = new Set(found.tables.map(nameOf));
  // Somebody else's publication may have got them in between, too.
  const all = new Set([...added, ...found.publication.added, ...(options.newTables ?? [])]);
  const now = [...all].filter((table) => captured.has(table));
  if (now.join('\n') === added.join('\n')) return null;
  return { ...at, ordinal: at.ordinal + 1, snapshot: { ...at.snapshot, added: now } };
}

/** What goes on beside the stream after a snapshot: copies of tables, all to be begun; null for nothing. */
export function copiesOf(
  tables: readonly string[],
  followed: readonly FollowedTable[],
): CopiesState | null {
  const jobs = new CopyJobs(null, { told: () => {}, ended: [] });
  for (const table of tables) jobs.start(table);
  const copies = jobs.none ? null : jobs.state;
  return followed.length === 0 ? copies : { ...(copies ?? { step: 0, jobs: [] }), followed };
}

/**
 * What is to be copied since the configuration has changed: tables that the publication did not cover,
 * and tables with rows that no earlier run has captured (renamed ones, or of a publication that somebody
 * else keeps).
 * Tables that are gone from the configuration are copied no more. Null if nothing changes.
 */
async function tablesToCopy(
  connection: Connection,
  about: {
    readonly found: Preflight;
    readonly at: WalPosition;
    readonly options: ResolvedOptions;
  },
): Promise<CopiesState | null> {
  const { found, at, options } = about;
  const jobs = new CopyJobs(at.copies ?? null, { told: () => {}, ended: [] });
  const captured = new Set(found.tables.map(nameOf));
  for (const { table } of jobs.state.jobs) if (!captured.has(table)) jobs.end(table, 'cancelled');
  for (const one of found.tables) {
    const table = nameOf(one);
    const added = found.publication.added.includes(table);
    if (jobs.find(table) !== undefined) continue;
    if (!added && !(await wasNeverCopied(connection, one, options))) continue;
    options.log.info({ table }, 'a table was added: it is copied while its changes are captured');
    jobs.start(table);
  }
  return jobs.unpublished ? jobs.state : null;
}

async function wasNeverCopied(
  connection: Connection,
  one: CataloguedTable,
  options: ResolvedOptions,
): Promise<boolean> {
  if (options.newTables?.includes(nameOf(one)) !== true) return false;
  const [row] = await connection.rows<{ filled: boolean }>(
    `SELECT EXISTS (SELECT FROM ${quoteTable(one.table)}) AS filled`,
  );
  return row?.filled === true;
}

function nameOf({ table: { schema, name } }: CataloguedTable): string {
  return `${schema}.${name}`;
}
