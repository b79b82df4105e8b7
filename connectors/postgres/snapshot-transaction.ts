import { MillraceError } from '../../errors.ts';
import { Connection } from './connection.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import type { ResolvedOptions } from './options.ts';
import { capturedTables, type Preflight } from './preflight.ts';
import type { CataloguedTable } from './catalogue.ts';
import { createSlot, replicationSlot } from './replication-slot.ts';
import { quoteTable } from './server.ts';
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
    const { at, tables } =
      about.at === null
        ? await beginNew(connection, about, signal)
        : { at: about.at, tables: await begin(connection, about) };
    if (at.snapshot === null) throw new Error('the snapshot of this position is finished');
    const snapshot = new Snapshot(connection, {
      options,
      resumed,
      tables,
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

interface Begun {
  readonly at: WalPosition;
  readonly tables: readonly CataloguedTable[];
}

/** Begins a transaction whose tables stay as they are until it ends: their definition is read under locks. */
async function begin(
  connection: Connection,
  { options, found }: Parameters<typeof openSnapshot>[0],
): Promise<CataloguedTable[]> {
  await connection.rows('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY');
  await connection.rows(lockOf(found.tables));
  return capturedTables(connection, options);
}

/** What any reader takes; it keeps out `ALTER`, `DROP` and `TRUNCATE`. */
function lockOf(tables: readonly CataloguedTable[]): string {
  const names = tables.map(({ table }) => quoteTable(table)).join(', ');
  return `LOCK TABLE ${names} IN ACCESS SHARE MODE`;
}

async function beginNew(
  connection: Connection,
  about: Parameters<typeof openSnapshot>[0],
  signal: AbortSignal,
): Promise<Begun> {
  const { settings, options, found } = about;
  const { slot } = options;
  // Held from before the slot until the snapshot has locks of its own: a table that is rewritten between
  // the two is empty to a snapshot that is older, and the stream does not have its rows either.
  await using holder = await Connection.open(settings, signal);
  const tables = await begin(holder, about);
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
  await connection.rows(lockOf(tables));
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
        : tables
            .map(({ table }) => `${table.schema}.${table.name}`)
            .filter((name) => options.newTables?.includes(name) === false),
  };
  const at = { commitLsn: created.consistentPoint - 1n, ordinal: 0, snapshot };
  return { at, tables };
}
