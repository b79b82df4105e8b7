import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseError } from 'pg';
import type { Log } from '../../log.ts';
import type { CataloguedTable } from './catalogue.ts';
import type { Connection } from './connection.ts';
import { quoteTable } from './server.ts';

/** Each level is a savepoint inside the last, and the server keeps memory for each. */
const LEVELS_MAX = 100;
const LOCK_TIMEOUT = '1s';
const AGAIN_MS = 100;

/** Tables in the order in which they are copied, those that are let go together in one level. */
export function lockLevels(tables: readonly CataloguedTable[]): readonly CataloguedTable[][] {
  const size = Math.ceil(tables.length / LEVELS_MAX);
  return Array.from({ length: Math.ceil(tables.length / Math.max(1, size)) }, (_, level) =>
    tables.slice(level * size, (level + 1) * size),
  );
}

/**
 * Begins a transaction on each connection, all under one snapshot, with all tables locked as any reader
 * locks them: that keeps out `ALTER`, `DROP` and `TRUNCATE`.
 *
 * A lock is released by rolling back to a savepoint from before it. So the last tables are locked first,
 * and each level inside the one that is copied after it.
 *
 * Somebody may come in between who waits for one of our connections and whom another of ours waits for:
 * a circle that the server cannot see. So all of them let go when one has waited for long, and try again.
 */
export async function lockUnderSnapshot(
  connections: readonly Connection[],
  about: {
    readonly snapshot: string;
    readonly levels: readonly (readonly CataloguedTable[])[];
    readonly log: Log;
  },
  signal: AbortSignal,
): Promise<void> {
  const locks = about.levels.map((tables, level) => {
    const names = tables.map(({ table }) => quoteTable(table)).join(', ');
    return `SAVEPOINT ${savepoint(level)}; LOCK TABLE ${names} IN ACCESS SHARE MODE`;
  });
  const sql = [
    'BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY',
    `SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`,
    `SET TRANSACTION SNAPSHOT '${about.snapshot}'`,
    ...locks.toReversed(),
  ].join('; ');
  for (let told = false; ; told = true) {
    const tried = await Promise.allSettled(
      connections.map((connection) =>
        connection.translate(() => connection.client.query(sql), { '53200': 'SOURCE_LOCKS' }),
      ),
    );
    const failures = tried.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    if (failures.length === 0) return;
    const other = failures.findIndex((reason) => !isLockTimeout(reason));
    if (other >= 0) await Promise.reject(failures[other]);
    if (!told) about.log.info('the snapshot waits for the locks of its tables');
    await endTransactions(connections);
    await sleep(AGAIN_MS, undefined, { signal });
  }
}

export async function endTransactions(connections: readonly Connection[]): Promise<void> {
  await Promise.all(connections.map((connection) => connection.rows('ROLLBACK')));
}

/** Lets go of all levels up to this one. */
export async function releaseLevel(connection: Connection, level: number): Promise<void> {
  await connection.rows(`ROLLBACK TO SAVEPOINT ${savepoint(level)}`);
}

function savepoint(level: number): string {
  return `level_${level}`;
}

/** `lock_not_available` (PostgreSQL, appendix A). */
export function isLockTimeout(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === '55P03';
}
