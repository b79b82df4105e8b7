import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pid } from 'node:process';
import { DatabaseSync } from 'node:sqlite';
import { MillraceError } from '../../errors.ts';

const SCHEMA_VERSION = 1;

/**
 * A segment row holds packed records that were published together: offsets `[first, next)`, of which
 * `count` are still there after compaction; the records' deltas count from `base`. The rowid keeps the
 * order of arrival, so a publish to many partitions writes next to each other; `by_offset` finds them.
 * `published_*` are the earliest and latest publish time in it, `newest` is its latest record time.
 */
const SCHEMA = `
  CREATE TABLE topics (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL UNIQUE, cleanup TEXT NOT NULL,
    retention_ms REAL, retention_bytes REAL, tombstone_retention_ms REAL NOT NULL
  ) STRICT;
  CREATE TABLE partitions (
    id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, partition INTEGER NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, bytes INTEGER NOT NULL, cleaned INTEGER NOT NULL,
    UNIQUE (topic, partition)
  ) STRICT;
  CREATE TABLE segments (
    id INTEGER PRIMARY KEY, partition INTEGER NOT NULL, base INTEGER NOT NULL,
    first INTEGER NOT NULL, next INTEGER NOT NULL, count INTEGER NOT NULL, size INTEGER NOT NULL,
    stored INTEGER NOT NULL, newest REAL NOT NULL, published_first REAL NOT NULL,
    published_last REAL NOT NULL, tombstones INTEGER NOT NULL,
    codec INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX by_offset ON segments
    (partition, next, stored, newest, published_last, tombstones);
  CREATE TABLE committed (
    "group" TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY ("group", partition)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE opened (times INTEGER NOT NULL) STRICT;
  INSERT INTO opened VALUES (0);
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/**
 * Opens `<folder>/broker.sqlite` and holds it alone: SQLite keeps an exclusive lock of the operating
 * system on the file, which ends with the process however it ends. The pid file beside it is only for
 * the message.
 *
 * @throws BROKER_IN_USE, BROKER_CORRUPT, BROKER_FULL, ENVIRONMENT
 */
export function openDatabase(folder: string, fsync: boolean): DatabaseSync {
  const file = databaseFile(folder);
  const pidFile = join(folder, 'broker.pid');
  let database: DatabaseSync;
  try {
    mkdirSync(folder, { recursive: true });
    database = new DatabaseSync(file, { timeout: 0 });
  } catch (error) {
    throw brokerError(error, file);
  }
  try {
    // 8 KiB pages and a checkpoint each 16 MiB of log: measured as the best of both a lone record
    // and megabytes at once. NORMAL may lose the last publishes with the machine, never the file.
    database.exec(`
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA page_size = 8192;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = ${fsync ? 'FULL' : 'NORMAL'};
      PRAGMA wal_autocheckpoint = 2000;
      PRAGMA journal_size_limit = 67108864;
      PRAGMA cache_size = -16384;
      BEGIN EXCLUSIVE; COMMIT;
    `);
    migrate(database, file);
    writeFileSync(pidFile, `${pid}\n`);
    return database;
  } catch (error) {
    database.close();
    if (sqliteCode(error) === 5) {
      const owner = readOwner(pidFile);
      throw new MillraceError('BROKER_IN_USE', `The embedded broker is in use by ${owner}.`, {
        place: file,
        cause: error,
      });
    }
    throw brokerError(error, file);
  }
}

export const databaseFile = (folder: string): string => join(folder, 'broker.sqlite');

function migrate(database: DatabaseSync, file: string): void {
  const version = database.prepare('PRAGMA user_version').get()?.['user_version'];
  if (version === 0) transaction(database, () => database.exec(SCHEMA));
  else if (version !== SCHEMA_VERSION) {
    throw new MillraceError('BROKER_CORRUPT', 'The file was not written by this version.', {
      place: file,
      expected: `schema version ${SCHEMA_VERSION}, found ${String(version)}`,
      remedy: 'Use the version of Millrace that wrote it.',
    });
  }
}

function readOwner(pidFile: string): string {
  try {
    return `pid ${readFileSync(pidFile, 'utf8').trim()}`;
  } catch {
    return 'another process';
  }
}

/** All of `work` in one transaction, or nothing of it. Errors of SQLite get a code of ours. */
export function transaction<T>(database: DatabaseSync, work: () => T): T {
  try {
    database.exec('BEGIN');
    const result = work();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    // A full disk rolls some transactions back by itself.
    if (database.isTransaction) database.exec('ROLLBACK');
    throw brokerError(error);
  }
}

/** What an error of SQLite or of the file system means here; others stay what they are. */
export function brokerError(error: unknown, place = 'broker.sqlite'): unknown {
  const details = { place, cause: error };
  switch (sqliteCode(error)) {
    case 13: // SQLITE_FULL
      return new MillraceError('BROKER_FULL', 'The disk of the embedded broker is full.', details);
    case 11: // SQLITE_CORRUPT
    case 26: // SQLITE_NOTADB
      return new MillraceError('BROKER_CORRUPT', 'The file is damaged or not a broker.', details);
    case 14: // SQLITE_CANTOPEN
    case 8: // SQLITE_READONLY
      return new MillraceError('ENVIRONMENT', 'The broker file cannot be opened.', details);
    case null:
    default:
  }
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC') {
    return new MillraceError('BROKER_FULL', 'The disk of the embedded broker is full.', details);
  }
  if (code === 'EACCES' || code === 'EROFS' || code === 'ENOTDIR' || code === 'EEXIST') {
    return new MillraceError('ENVIRONMENT', 'The broker folder cannot be written.', details);
  }
  return error;
}

/** SQLite's primary result code: https://sqlite.org/rescode.html. */
function sqliteCode(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error)) return null;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : null;
}
