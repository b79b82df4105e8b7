import { MillraceError } from '../../errors.ts';
import { Connection } from './connection.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import type { ResolvedOptions } from './options.ts';
import type { Preflight } from './preflight.ts';
import { createSlot, replicationSlot } from './replication-slot.ts';
import { Snapshot } from './snapshot.ts';
import type { SnapshotState, WalPosition } from './wal-position.ts';

export interface OpenSnapshot extends AsyncDisposable {
  readonly snapshot: Snapshot;
}

/**
 * Begins a snapshot, or takes up one that was interrupted. A new one makes the slot first, whatever
 * slot of this name there was, and reads what that slot's stream does not have.
 */
export async function openSnapshot(
  about: {
    readonly settings: ConnectionSettings;
    readonly options: ResolvedOptions;
    readonly found: Preflight;
    readonly at: WalPosition | null;
  },
  signal: AbortSignal,
): Promise<OpenSnapshot> {
  const { settings, options, found } = about;
  const connection = await Connection.open(settings, signal);
  try {
    if (found.server.major >= 17) await connection.rows('SET transaction_timeout = 0');
    const resumed = about.at !== null;
    const at = about.at ?? (await beginNew(connection, about, signal));
    if (resumed) await connection.rows('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    if (at.snapshot === null) throw new Error('the snapshot of this position is finished');
    const snapshot = new Snapshot(connection, {
      options,
      resumed,
      tables: found.tables,
      database: found.server.database,
      at: { ...at, snapshot: at.snapshot },
    });
    return {
      snapshot,
      // A COPY may be under way, which nothing but the end of the connection stops.
      [Symbol.asyncDispose]: () => Promise.resolve(connection.destroy()),
    };
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

async function beginNew(
  connection: Connection,
  { settings, options, found }: Parameters<typeof openSnapshot>[0],
  signal: AbortSignal,
): Promise<WalPosition> {
  const { slot } = options;
  if (found.slot !== null) {
    options.log.info({ slot }, 'dropping the old slot for a new snapshot');
    await connection.rows('SELECT pg_drop_replication_slot($1)', [slot]);
  }
  // The exported snapshot lives while this connection does nothing else.
  await using exporter = await Connection.open(settings, signal, 'replication');
  const created = await createSlot(exporter, slot, {
    major: found.server.major,
    failover: options.slotFailover,
  });
  await connection.rows('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY');
  await connection.rows(`SET TRANSACTION SNAPSHOT '${created.snapshot}'`);
  const [seen] = await connection.rows<{ seen: string }>(
    'SELECT pg_current_snapshot()::text AS seen',
  );
  const restartLsn = (await replicationSlot(connection, slot))?.restartLsn ?? null;
  if (restartLsn === null || seen === undefined) {
    throw new MillraceError('SLOT_LOST', `The slot ${slot} vanished while it was made.`);
  }
  const snapshot: SnapshotState = {
    version: restartLsn.toString(16),
    seen: seen.seen,
    done: [],
    table: null,
    after: null,
    emptied:
      options.newTables === undefined
        ? []
        : found.tables
            .map(({ table }) => `${table.schema}.${table.name}`)
            .filter((name) => options.newTables?.includes(name) === false),
  };
  return { commitLsn: created.consistentPoint - 1n, ordinal: 0, snapshot };
}
