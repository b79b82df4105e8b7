import { tableByName, type CataloguedTable } from './catalogue.ts';
import { checkRules, withRules } from './column-rules.ts';
import type { Connection } from './connection.ts';
import type { ResolvedOptions } from './options.ts';
import { quoteTable } from './server.ts';
import { isLockTimeout } from './snapshot-locks.ts';

/** The stream stands still for so long at most if somebody alters the table, or makes an index of it anew. */
const LOCK_TIMEOUT = '200ms';

/**
 * Begins a transaction in which the table stays as it is, and says how that is; null if somebody else has
 * the table for himself. Throws if it is gone, and what {@link checkRules} throws.
 */
export async function lockedTable(
  connection: Connection,
  { table: { schema, name } }: CataloguedTable,
  options: ResolvedOptions,
): Promise<CataloguedTable | null> {
  if (!(await lockedAlone(connection, quoteTable({ schema, name })))) return null;
  const found = await tableByName(connection, `${schema}.${name}`);
  if (found === null) throw new Error('the table does not exist any more');
  checkRules(found.table, options);
  return { ...found, table: withRules(found.table, options) };
}

/**
 * Begins a transaction that has the lock before its snapshot: a table that is rewritten in between would be
 * empty to it. False if somebody else has the table.
 */
async function lockedAlone(connection: Connection, table: string): Promise<boolean> {
  await connection.rows('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY');
  try {
    await connection.rows(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`);
    await connection.rows(`LOCK TABLE ${table} IN ACCESS SHARE MODE`);
    return true;
  } catch (error) {
    await connection.rows('ROLLBACK');
    if (isLockTimeout(error)) return false;
    throw error;
  }
}
