import { open, type FileHandle } from 'node:fs/promises';
import type { DatabaseSync } from 'node:sqlite';
import { databaseFile, transaction } from './database.ts';

/**
 * Makes transactions durable without holding up the thread: SQLite commits without a sync, and the
 * write-ahead log is synced in the thread pool. That is what SQLite does with `synchronous = FULL`,
 * only that others run meanwhile: each commit appends frames to the log, a checkpoint syncs it before
 * it moves them, and after a crash all commits up to the last whole one are there, none without those
 * before it. Nobody may see or be told of a commit before {@link sync} has resolved.
 *
 * Source: https://sqlite.org/wal.html and https://sqlite.org/pragma.html#pragma_synchronous.
 */
export class Durability implements AsyncDisposable {
  readonly #database: DatabaseSync;
  /** Null where the user has chosen that the machine's crash may lose the last publishes. */
  readonly #log: FileHandle | null;

  private constructor(database: DatabaseSync, log: FileHandle | null) {
    this.#database = database;
    this.#log = log;
  }

  static async open(database: DatabaseSync, folder: string, fsync: boolean): Promise<Durability> {
    const log = fsync ? await open(`${databaseFile(folder)}-wal`, 'r+') : null;
    return new Durability(database, log);
  }

  /** A transaction that is durable when a {@link sync} begun after it has resolved. */
  transaction(work: () => void): void {
    if (this.#log === null) {
      transaction(this.#database, work);
      return;
    }
    this.#database.exec('PRAGMA synchronous = NORMAL');
    try {
      transaction(this.#database, work);
    } finally {
      this.#database.exec('PRAGMA synchronous = FULL');
    }
  }

  async sync(): Promise<void> {
    await this.#log?.datasync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#log?.close();
  }
}
