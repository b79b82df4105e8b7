import { MillraceError } from '../../errors.ts';
import type { Connection } from './connection.ts';
import { parseLsn } from './lsn.ts';
import { quoteName } from './server.ts';

export interface Slot {
  readonly plugin: string | null;
  readonly database: string | null;
  /** Process of the server that reads it now; null if nobody does. */
  readonly activePid: number | null;
  readonly restartLsn: bigint | null;
  readonly confirmedLsn: bigint | null;
  /** Why it can no longer be read; null if it can. */
  readonly lost: string | null;
  /** Standbys synchronise it. */
  readonly failover: boolean;
  /** It came from a primary in that way. It stays so when the standby is promoted. */
  readonly synchronised: boolean;
}

/** The slot as the server shows it; null if there is none. */
export async function replicationSlot(connection: Connection, name: string): Promise<Slot | null> {
  // Reading the row as JSON makes one query fit all versions: invalidation_reason came with 17.
  const rows = await connection.rows<{ slot: Record<string, unknown> }>(
    'SELECT to_jsonb(s) AS slot FROM pg_replication_slots s WHERE slot_name = $1',
    [name],
  );
  const slot = rows[0]?.slot;
  if (slot === undefined) return null;
  const text = (field: string): string | null =>
    typeof slot[field] === 'string' ? slot[field] : null;
  const [restart, confirmed] = [text('restart_lsn'), text('confirmed_flush_lsn')];
  const reason = text('invalidation_reason');
  return {
    plugin: text('plugin'),
    database: text('database'),
    activePid: typeof slot['active_pid'] === 'number' ? slot['active_pid'] : null,
    restartLsn: restart === null ? null : parseLsn(restart),
    confirmedLsn: confirmed === null ? null : parseLsn(confirmed),
    failover: slot['failover'] === true,
    synchronised: slot['synced'] === true,
    lost: reason ?? (text('wal_status') === 'lost' ? 'its WAL was removed' : null),
  };
}

/** Throws if the slot is not ours to read now. */
export function checkSlot(slot: Slot, name: string, database: string): void {
  if (slot.plugin !== 'pgoutput' || slot.database !== database) {
    throw new MillraceError('SLOT_FOREIGN', `The slot ${name} belongs to something else.`, {
      place: `plugin ${slot.plugin ?? 'none'}, database ${slot.database ?? 'none'}`,
      expected: `plugin pgoutput, database ${database}`,
    });
  }
  if (slot.activePid !== null) {
    throw new MillraceError(
      'SLOT_IN_USE',
      `The slot ${name} is read by the server process ${slot.activePid}.`,
      { remedy: `Stop that reader, or: SELECT pg_terminate_backend(${slot.activePid});` },
    );
  }
}

export interface CreatedSlot {
  /** The first commit that the slot streams starts here or later. */
  readonly consistentPoint: bigint;
  /** To be imported while the connection that made it lives and does nothing else. */
  readonly snapshot: string;
}

/** On a replication connection. Waits for the transactions that are open now. */
export async function createSlot(
  connection: Connection,
  name: string,
  how: { readonly major: number; readonly failover: boolean },
): Promise<CreatedSlot> {
  const also = how.failover ? ', FAILOVER true' : '';
  const options = how.major >= 15 ? `(SNAPSHOT 'export'${also})` : 'EXPORT_SNAPSHOT';
  const [row] = await connection.rows<{ consistent_point: string; snapshot_name: string }>(
    `CREATE_REPLICATION_SLOT ${quoteName(name)} LOGICAL pgoutput ${options}`,
  );
  if (row === undefined) {
    throw new MillraceError('PROTOCOL_UNEXPECTED', 'CREATE_REPLICATION_SLOT returned no row.');
  }
  return { consistentPoint: parseLsn(row.consistent_point), snapshot: row.snapshot_name };
}
