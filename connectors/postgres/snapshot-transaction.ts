import { MillraceError } from '../../errors.ts';
import type { CataloguedTable } from './catalogue.ts';
import { Connection } from './connection.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import type { ResolvedOptions } from './options.ts';
import { capturedTables, type Preflight } from './preflight.ts';
import { createSlot, replicationSlot } from './replication-slot.ts';
import { endTransactions, lockLevels, lockUnderSnapshot } from './snapshot-locks.ts';
import { Snapshot } from './snapshot.ts';
import { currentTimeline } from './timeline.ts';
import type { SnapshotState, WalPosition } from './wal-position.ts';

export interface OpenSnapshot extends AsyncDisposable {
  readonly snapshot: Snapshot;
}

interface About {
  readonly settings: ConnectionSettings;
  readonly options: ResolvedOptions;
  readonly found: Preflight;
  readonly at: WalPosition | null;
}

/**
 * Begins a snapshot, or takes up one that was interrupted. A new one makes the slot first, whatever
 * slot of this name there was, and reads what that slot's stream does not have.
 */
export async function openSnapshot(given: About, signal: AbortSignal): Promise<OpenSnapshot> {
  const about = { ...given, found: withoutAdded(given) };
  const { settings, options, found } = about;
  const connections: Connection[] = [];
  const close = (): void => connections.forEach((connection) => connection.destroy());
  try {
    for (let left = options.snapshotConcurrency; left > 0; left--) {
      const connection = await Connection.open(settings, signal);
      connections.push(connection);
      if (found.server.major >= 17) await connection.rows('SET transaction_timeout = 0');
    }
    const { at, tables } = await begin(connections, about, signal);
    const snapshot = new Snapshot(connections, {
      options,
      resumed: about.at !== null,
      tables,
      database: found.server.database,
      at,
    });
    return {
      snapshot,
      [Symbol.asyncDispose]: () => {
        // A COPY may be under way, which nothing but the end of its connection stops.
        close();
        return snapshot.ended();
      },
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** What was found, but for the tables that came since the snapshot began. */
function withoutAdded({ found, at }: About): Preflight {
  const added = at?.snapshot?.added ?? [];
  const tables = found.tables.filter(
    ({ table: { schema, name } }) => !added.includes(`${schema}.${name}`),
  );
  return { ...found, tables };
}

interface Begun {
  readonly at: WalPosition & { readonly snapshot: SnapshotState };
  readonly tables: readonly CataloguedTable[];
}

/**
 * No lock is held while the slot is made: that waits for transactions, and one of them may wait for the
 * lock. So a table can be written anew (by `ALTER`) after the snapshot was taken and before it is locked. It would be
 * empty to the snapshot, which is older, and the stream would not have its rows either: then all of it
 * begins again.
 */
async function begin(
  connections: readonly Connection[],
  about: About,
  signal: AbortSignal,
): Promise<Begun> {
  const { settings, options, found } = about;
  const { log } = options;
  const oids = found.tables.map(({ table }) => table.oid);
  await using observer = await Connection.open(settings, signal);
  for (;;) {
    const files = await filesOf(observer, oids);
    await using exported = await exportSnapshot(observer, about, signal);
    const levels = lockLevels(found.tables);
    const { snapshot } = exported;
    await lockUnderSnapshot(connections, { snapshot, levels, log }, signal);
    if ((await filesOf(observer, oids)) !== files) {
      log.info('a table was rewritten as the snapshot began: it begins again');
      await endTransactions(connections);
      continue;
    }
    // As they are under the locks; one that was made meanwhile is not published yet.
    const now = await capturedTables(observer, options);
    const tables = found.tables.map((one) => now.find(({ table }) => table.oid === one.table.oid));
    const [lost] = found.tables.filter((_, index) => tables[index] === undefined);
    if (lost === undefined) {
      return {
        at: exported.at(await seenBy(connections)),
        tables: tables.filter((one) => one !== undefined),
      };
    }
    throw new MillraceError('SOURCE_TABLE_CHANGED', 'A table was renamed as the snapshot began.', {
      place: `${lost.table.schema}.${lost.table.name}`,
    });
  }
}

async function seenBy([connection]: readonly Connection[]): Promise<string> {
  const rows = await connection?.rows<{ seen: string }>(
    'SELECT pg_current_snapshot()::text AS seen',
  );
  return rows?.[0]?.seen ?? '';
}

/** Which files the tables and their partitions lie in. */
async function filesOf(observer: Connection, oids: readonly number[]): Promise<string> {
  const [row] = await observer.rows<{ files: string | null }>(
    `SELECT string_agg(oid || ':' || pg_relation_filenode(oid), ' ' ORDER BY oid) AS files FROM (
       SELECT unnest($1::oid[]) AS oid
       UNION SELECT part.relid FROM unnest($1::oid[]) root, pg_partition_tree(root) part) each`,
    [oids],
  );
  return row?.files ?? '';
}

/** A snapshot that can be imported until it is closed. */
interface Exported extends AsyncDisposable {
  readonly snapshot: string;
  /** The position that a snapshot goes on from, if it begins with what is seen under this one. */
  at(seen: string): Begun['at'];
}

async function exportSnapshot(
  observer: Connection,
  about: About,
  signal: AbortSignal,
): Promise<Exported> {
  const { settings, at } = about;
  if (at === null) return exportNew(observer, about, signal);
  const { snapshot } = at;
  if (snapshot === null) throw new Error('the snapshot of this position is finished');
  const exporter = await Connection.open(settings, signal);
  try {
    await exporter.rows('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    const [row] = await exporter.rows<{ name: string }>('SELECT pg_export_snapshot() AS name');
    return {
      snapshot: row?.name ?? '',
      at: () => ({ ...at, snapshot }),
      [Symbol.asyncDispose]: () => exporter[Symbol.asyncDispose](),
    };
  } catch (error) {
    exporter.destroy();
    throw error;
  }
}

/** Makes the slot. Its snapshot lives while the connection that made it does nothing else. */
async function exportNew(
  observer: Connection,
  { settings, options, found }: About,
  signal: AbortSignal,
): Promise<Exported> {
  const { slot } = options;
  if ((await replicationSlot(observer, slot)) !== null) {
    options.log.info({ slot }, 'dropping the old slot for a new snapshot');
    await observer.rows('SELECT pg_drop_replication_slot($1)', [slot]);
  }
  const exporter = await Connection.open(settings, signal, 'replication');
  try {
    const { id } = await currentTimeline(exporter);
    const created = await createSlot(exporter, slot, {
      major: found.server.major,
      failover: options.slotFailover,
    });
    const restartLsn = (await replicationSlot(observer, slot))?.restartLsn ?? null;
    if (restartLsn === null) {
      throw new MillraceError('SLOT_LOST', `The slot ${slot} vanished while it was made.`);
    }
    const names = found.tables.map(({ table: { schema, name } }) => `${schema}.${name}`);
    const { newTables } = options;
    const begun = {
      version: restartLsn.toString(16),
      done: [],
      open: [],
      emptied: newTables === undefined ? [] : names.filter((name) => !newTables.includes(name)),
    };
    const place = { commitLsn: created.consistentPoint - 1n, ordinal: 0, timeline: id };
    return {
      snapshot: created.snapshot,
      at: (seen) => ({ ...place, snapshot: { ...begun, seen } }),
      [Symbol.asyncDispose]: () => exporter[Symbol.asyncDispose](),
    };
  } catch (error) {
    exporter.destroy();
    throw error;
  }
}
