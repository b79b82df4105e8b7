import type duckdb from '@duckdb/node-bindings';
import type duckdbApi from '@duckdb/node-api';
import type { DuckDBConnection } from '@duckdb/node-api';
import { MillraceError } from '../../errors.ts';
import { identifier, literal } from '../sql.ts';
import type { Session } from '../session.ts';
import type { Bindings } from './vector.ts';

export interface Settings {
  /** DuckDB's own bound, such as `320MB`; what does not fit is spilled to disk. */
  readonly memoryLimit: string;
  readonly threads: number;
  /** WAL size above which a commit also writes a checkpoint. */
  readonly checkpointThreshold: string;
}

interface Loaded {
  readonly bindings: Bindings;
  readonly api: typeof duckdbApi;
  /** One for the process: it makes two sinks on one file share an instance, which a lock cannot tell apart. */
  readonly cache: duckdb.InstanceCache;
}

let loading: Promise<Loaded> | undefined;

/** The driver is 70 MB: loaded on first use. */
async function load(): Promise<Loaded> {
  loading ??= (async () => {
    const [{ default: bindings }, api] = await Promise.all([
      import('@duckdb/node-bindings'),
      import('@duckdb/node-api'),
    ]);
    return { bindings, api, cache: bindings.create_instance_cache() };
  })();
  return loading;
}

/** A DuckDB file and the connection that writes to it. */
export class DuckdbSession implements Session, AsyncDisposable {
  readonly bindings: Bindings;
  readonly connection: duckdb.Connection;
  /** The catalogue's name, which DuckDB makes from the file's. */
  readonly catalog: string;
  readonly #api: Loaded['api'];
  readonly #database: duckdb.Database;
  readonly #reading: DuckDBConnection;
  /** Connections that are being made. To close the file under one of them ends the process. */
  readonly #connecting = new Set<Promise<duckdb.Connection>>();
  #closed = false;

  private constructor(
    loaded: Loaded,
    opened: { database: duckdb.Database; connection: duckdb.Connection; catalog: string },
  ) {
    this.bindings = loaded.bindings;
    this.#api = loaded.api;
    this.#database = opened.database;
    this.connection = opened.connection;
    this.catalog = opened.catalog;
    this.#reading = new loaded.api.DuckDBConnection(opened.connection);
  }

  /** Throws `SINK_IN_USE` if another process has the file, `SINK_UNREADABLE` if it cannot be opened. */
  static async open(path: string, settings: Settings | 'read-only'): Promise<DuckdbSession> {
    const loaded = await load();
    const { bindings, cache, api } = loaded;
    try {
      const database =
        settings === 'read-only'
          ? await bindings.open(path, configOf(bindings, { access_mode: 'READ_ONLY' }))
          : await bindings.get_or_create_from_cache(cache, path);
      const connection = await bindings.connect(database);
      const reader = await new api.DuckDBConnection(connection).runAndReadAll(
        'SELECT current_database()',
      );
      const catalog = String(reader.getRows()[0]?.[0]);
      const session = new DuckdbSession(loaded, { database, connection, catalog });
      if (settings !== 'read-only') await session.run(settingStatements(settings));
      return session;
    } catch (error) {
      throw openError(error, path);
    }
  }

  async run(sql: string): Promise<number> {
    try {
      return this.bindings.rows_changed(await this.bindings.query(this.connection, sql));
    } catch (error) {
      throw coded(error);
    }
  }

  async rows(sql: string): Promise<readonly (readonly unknown[])[]> {
    try {
      return (await this.#reading.runAndReadAll(sql)).getRowsJson();
    } catch (error) {
      throw coded(error);
    }
  }

  /** Another connection to the same file, for reading. Throws `NOT_RUNNING` once the session is closed. */
  async connectToRead(): Promise<DuckDBConnection> {
    if (this.#closed) {
      throw new MillraceError('NOT_RUNNING', 'the sink was closed', {
        expected: 'a sink that is open: ask again',
      });
    }
    const connecting = this.bindings.connect(this.#database);
    this.#connecting.add(connecting);
    try {
      return new this.#api.DuckDBConnection(await connecting);
    } finally {
      this.#connecting.delete(connecting);
    }
  }

  interrupt(): void {
    this.bindings.interrupt(this.connection);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#connecting);
    this.bindings.disconnect_sync(this.connection);
    this.bindings.close_sync(this.#database);
  }
}

function configOf(bindings: Bindings, options: Readonly<Record<string, string>>): duckdb.Config {
  const config = bindings.create_config();
  for (const [name, value] of Object.entries(options)) bindings.set_config(config, name, value);
  return config;
}

/** Set after opening, because an instance in the cache is found only with the same configuration. */
function settingStatements({ memoryLimit, threads, checkpointThreshold }: Settings): string {
  const settings = {
    memory_limit: literal(memoryLimit),
    checkpoint_threshold: literal(checkpointThreshold),
    threads: String(threads),
    // Rows of a table have no order, and keeping one costs memory.
    preserve_insertion_order: 'false',
    // Freed memory goes back to the system soon; the defaults keep some 600 MB.
    allocator_flush_threshold: literal('16MiB'),
    allocator_bulk_deallocation_flush_threshold: literal('32MiB'),
  };
  return Object.entries(settings)
    .map(([name, value]) => `SET GLOBAL ${identifier(name)} = ${value}`)
    .join('; ');
}

function openError(error: unknown, path: string): Error {
  const message = error instanceof Error ? error.message : String(error);
  if (message.includes('Could not set lock on file')) {
    const pid = /PID (\d+)/.exec(message)?.[1];
    return new MillraceError(
      'SINK_IN_USE',
      `${path} is open in ${pid === undefined ? 'another process' : `process ${pid}`}`,
      {
        place: path,
        cause: error,
      },
    );
  }
  const known = coded(error);
  if (known instanceof MillraceError) return known;
  return new MillraceError(
    'SINK_UNREADABLE',
    `${path} could not be opened: ${firstLine(message)}`,
    {
      place: path,
      cause: error,
    },
  );
}

/** DuckDB's C API has no error codes: its messages begin with the class and the operating system's words. */
export function coded(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof MillraceError) return error;
  if (/No space left on device|File too large|Disk quota exceeded/i.test(error.message)) {
    return new MillraceError('SINK_FULL', 'the disk of the DuckDB file is full', { cause: error });
  }
  if (/^TransactionContext Error:.*[Cc]onflict/s.test(error.message)) {
    return new MillraceError('SINK_FENCED', 'another writer changed the same table of the sink', {
      cause: error,
    });
  }
  // The table is not what it was when we last looked: somebody altered or dropped it.
  const refusal = /^((Constraint|Conversion|Binder|Catalog|Dependency) Error)/.exec(error.message);
  if (refusal !== null) {
    // The message may have a value of a row in it, so only its class is shown.
    return new MillraceError('SINK_TABLE_CONFLICT', `DuckDB refuses it with a ${refusal[1]}`, {
      expected: 'tables as Millrace made them, without constraints and indexes of other hands',
      remedy: 'Undo what was changed in the table and resume it, or rebuild it.',
      cause: error,
    });
  }
  return error;
}

export function firstLine(message: string): string {
  return message.split('\n', 1)[0] ?? message;
}
