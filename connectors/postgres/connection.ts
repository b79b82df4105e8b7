import type { Socket } from 'node:net';
import { Client, type ClientConfig } from 'pg';
import { MillraceError, type ErrorCode } from '../../errors.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import { sourceError } from './source-error.ts';
import { TEXT_SETTINGS } from './types/type-codec.ts';

/**
 * How values come as text, whatever role and database are set to. A snapshot may take longer than a
 * timeout that was meant for people.
 */
const SESSION = {
  ...TEXT_SETTINGS,
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
};

/** What `pg` has and does not declare: the socket it speaks through, once TLS is set up. */
interface LowLevel {
  readonly connection: { readonly stream: Socket };
}

/** One open connection, ordinary or for replication, whose errors are ours. */
export class Connection implements AsyncDisposable {
  readonly client: Client;
  readonly place: string;
  /** Aborts what runs here. */
  readonly signal: AbortSignal;
  readonly #abort = (): void => {
    this.socket.destroy();
  };
  #lost: unknown = null;

  private constructor(client: Client, place: string, signal: AbortSignal) {
    this.client = client;
    this.place = place;
    this.signal = signal;
    client.on('error', (error) => (this.#lost = error));
    signal.addEventListener('abort', this.#abort);
  }

  /** Throws `SOURCE_UNREACHABLE`, `SOURCE_AUTH`, `SOURCE_TLS`; the signal also ends what runs on it. */
  static async open(
    settings: ConnectionSettings,
    signal: AbortSignal,
    kind: 'ordinary' | 'replication' = 'ordinary',
  ): Promise<Connection> {
    signal.throwIfAborted();
    const place = placeOf(settings);
    for (const tls of settings.sslmode === 'prefer' ? [settings.tls, null] : [settings.tls]) {
      const client = new Client(clientConfig(settings, { tls, kind }));
      const connection = new Connection(client, place, signal);
      try {
        await client.connect();
        return connection;
      } catch (error) {
        connection.destroy();
        signal.throwIfAborted();
        const coded = sourceError(
          error,
          place,
          kind === 'replication' ? { '53300': 'SLOTS_EXHAUSTED' } : {},
        );
        const refused = /does not support SSL/.test(error instanceof Error ? error.message : '');
        if (tls === null || !refused || settings.sslmode !== 'prefer') throw coded;
      }
    }
    throw new Error('unreachable: the last attempt returns or throws');
  }

  get socket(): Socket {
    return (this.client as unknown as LowLevel).connection.stream;
  }

  /** All rows, as objects by column name; the caller names their type. */
  async rows<Row>(sql: string, values?: readonly unknown[]): Promise<Row[]> {
    return this.translate(async () => {
      const result =
        values === undefined ? this.client.query(sql) : this.client.query(sql, [...values]);
      return (await result).rows as Row[];
    });
  }

  /** Runs work on this connection and turns what it throws into coded errors. */
  async translate<T>(
    work: () => Promise<T>,
    states?: Readonly<Record<string, ErrorCode>>,
  ): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.signal.throwIfAborted();
      throw sourceError(this.#lost ?? error, this.place, states);
    }
  }

  /** Why the connection ended. */
  lostError(): unknown {
    const lost = this.#lost ?? new MillraceError('SOURCE_DISCONNECTED', 'The connection ended.');
    return this.coded(lost);
  }

  coded(error: unknown): unknown {
    return sourceError(error, this.place);
  }

  /** From now on an abort leaves it open: who took its socket over ends it. */
  release(): void {
    this.signal.removeEventListener('abort', this.#abort);
  }

  /** Closes at once, whatever runs. */
  destroy(): void {
    this.release();
    this.socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    if (!this.socket.destroyed) await this.client.end().catch(() => this.socket.destroy());
  }
}

/** Without the password, for messages. */
export function placeOf(settings: ConnectionSettings): string {
  const { user, host, port, database } = settings;
  return `postgres://${user}@${host.startsWith('/') ? `${host}/.s.PGSQL.` : `${host}:`}${port}/${database}`;
}

function clientConfig(
  settings: ConnectionSettings,
  how: { readonly tls: ConnectionSettings['tls']; readonly kind: 'ordinary' | 'replication' },
): ClientConfig {
  const config = {
    host: settings.host,
    port: settings.port,
    user: settings.user,
    database: settings.database,
    ssl: how.tls ?? false,
    application_name: settings.applicationName,
    options: Object.entries(SESSION)
      .map(([name, value]) => `-c ${name}=${value.replaceAll(' ', '')}`)
      .join(' '),
    keepAlive: true,
    connectionTimeoutMillis: settings.connectTimeoutMs,
    ...(settings.password === null ? {} : { password: settings.password }),
    ...(how.kind === 'replication' ? { replication: 'database' } : {}),
  };
  return config;
}
