import { postgresConnector } from '../../connectors/postgres/connector.ts';
import type { PostgresOptions } from '../../connectors/postgres/options.ts';
import type { Position } from '../../connectors/connector.ts';
import { expect } from 'vitest';
import { silent } from '../../log.ts';
import { Capture, type CapturedChange } from './capture.ts';
import type { TestDatabase, TestPostgres } from './postgres.ts';
import { MemoryRegistry } from './recorded-stream.ts';

export const registry = new MemoryRegistry();

/** Whether the snapshot is finished at a position of the Postgres connector. */
export const complete = (position: Position): boolean => !position.includes('snapshot');

/** A connector for all tables of a database, in a hurry. */
export function hurried(
  database: Pick<TestDatabase, 'url'>,
  more: Partial<PostgresOptions> = {},
): PostgresOptions {
  return {
    pipeline: 'hurried',
    url: database.url,
    tables: ['public.*'],
    prefix: 'test',
    partitions: 1,
    version: '0.0.0',
    registry,
    log: silent,
    statusIntervalMs: 50,
    idlePositionIntervalMs: 100,
    reconnectMs: 10,
    reconnectMsMax: 100,
    ...more,
  };
}

export async function withItems(server: TestPostgres, rows = 10): Promise<TestDatabase> {
  const database = await server.createDatabase();
  await database.query('CREATE TABLE items (id int PRIMARY KEY, name text)');
  await insert(database, 1, rows);
  return database;
}

export async function insert(database: TestDatabase, from: number, to: number): Promise<void> {
  await database.query(
    `INSERT INTO items SELECT g, 'name ' || g FROM generate_series($1::int, $2::int) g`,
    [from, to],
  );
}

/** Takes the snapshot and stops. */
export async function snapshotTaken(options: PostgresOptions): Promise<Capture> {
  await using connector = postgresConnector(options);
  const capture = new Capture(registry);
  await capture.run(connector, { after: null, done: ({ position }) => complete(position) });
  return capture;
}

/** A connector that streams until it is disposed; what it delivers is in `capture`. */
export function streaming(options: PostgresOptions, capture: Capture): AsyncDisposable {
  const connector = postgresConnector(options);
  const stop = new AbortController();
  const running = capture.run(connector, {
    after: capture.last,
    signal: stop.signal,
    done: () => false,
  });
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running;
      await connector[Symbol.asyncDispose]();
    },
  };
}

/** What the slot has after a position, while something is done; the server is told nothing. */
export async function unacknowledged(
  options: PostgresOptions,
  after: Position,
  work: (came: (changes: number) => Promise<void>) => Promise<void>,
): Promise<CapturedChange[]> {
  await using connector = postgresConnector(options);
  const capture = new Capture(registry);
  const stop = new AbortController();
  const running = capture.run(connector, {
    after,
    ack: false,
    signal: stop.signal,
    done: () => false,
  });
  try {
    await work((changes) =>
      expect.poll(() => capture.changes.length, { timeout: 20_000 }).toBe(changes),
    );
  } finally {
    stop.abort();
    await running;
  }
  return capture.changes;
}

/** What stopped a connector. */
export async function failure(options: PostgresOptions, after: Position): Promise<unknown> {
  await using connector = postgresConnector(options);
  const capture = new Capture(registry);
  return capture.run(connector, { after, done: () => false }).catch((error: unknown) => error);
}

/** Process of the server that reads the slot of this database. */
export async function readerOf(database: TestDatabase): Promise<unknown> {
  const [slot] = await database.query(
    'SELECT active_pid FROM pg_replication_slots WHERE database = current_database()',
  );
  return slot?.['active_pid'];
}
