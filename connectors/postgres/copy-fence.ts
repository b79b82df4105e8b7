import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from './connection.ts';
import { parseLsn } from './lsn.ts';

/**
 * A point in the write-ahead log that parts the changes which a later look at a table has from those
 * it may lack. Once the fence has {@link passed}, whoever reads sees every transaction that was open
 * when the fence was set; what he does not see got its transaction id afterwards, so all that it
 * writes lies at or after `lsn`.
 */
export interface CopyFence {
  readonly lsn: bigint;
  /** Of a transaction that began after that: every later one has a greater id. */
  readonly xid: string;
}

/**
 * In two statements: first the log is read, then an id is taken. The id must be one of our own: a
 * snapshot's `xmax` follows the last transaction that has ended, and older ones may still run after it.
 */
export async function setFence(connection: Connection): Promise<CopyFence> {
  const [log] = await connection.rows<{ lsn: string }>(
    'SELECT pg_current_wal_insert_lsn()::text AS lsn',
  );
  const [own] = await connection.rows<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid');
  if (log === undefined || own === undefined) throw new Error('a SELECT returned no row');
  return { lsn: parseLsn(log.lsn), xid: own.xid };
}

/** Whether every transaction older than the fence has ended and is visible. */
export async function passed(connection: Connection, fence: CopyFence): Promise<boolean> {
  const [row] = await connection.rows<{ passed: boolean }>(
    'SELECT pg_snapshot_xmin(pg_current_snapshot()) > $1::text::xid8 AS passed',
    [fence.xid],
  );
  return row?.passed === true;
}

const LOOK_MS = 5;

/** How long the stream may stand still for older transactions. */
const HELD_MS_MAX = 1_000;

/** A fence while the stream stands still; null if it does not pass in good time. */
export async function heldFence(connection: Connection): Promise<CopyFence | null> {
  const fence = await setFence(connection);
  const until = performance.now() + HELD_MS_MAX;
  for (;;) {
    if (await passed(connection, fence)) return fence;
    if (performance.now() >= until) return null;
    await sleep(LOOK_MS, undefined, { signal: connection.signal });
  }
}

/** Every transaction that is visible now has committed before it. */
export async function endOfLog(connection: Connection): Promise<bigint> {
  const [row] = await connection.rows<{ log: string }>(
    'SELECT pg_current_wal_insert_lsn()::text AS log',
  );
  if (row === undefined) throw new Error('a SELECT returned no row');
  return parseLsn(row.log);
}
