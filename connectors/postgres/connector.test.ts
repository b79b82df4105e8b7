import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectorConformance, type ConnectorWorld } from '../../tests/conformance/connector.ts';
import {
  hasPostgres,
  postgresVersions,
  startPostgres,
  type TestPostgres,
} from '../../tests/support/postgres.ts';
import { MemoryRegistry } from '../../tests/support/recorded-stream.ts';
import { silent } from '../../log.ts';
import { postgresConnector } from './connector.ts';

const here = postgresVersions.filter(hasPostgres);
const missing = postgresVersions.filter((version) => !hasPostgres(version));

describe.each(here)('PostgreSQL %i', (version) => {
  let server: TestPostgres;
  beforeAll(async () => {
    server = await startPostgres({ version });
  });
  afterAll(() => server[Symbol.asyncDispose]());
  connectorConformance(`postgres ${version}`, () => world(server));
});

describe.skipIf(missing.length > 0)('every supported version', () => {
  test(`is tested (npm ci --prefix tests/postgres-versions fetches ${missing.join(', ')})`, () => {
    expect(missing).toEqual([]);
  });
});

async function world(on: TestPostgres): Promise<ConnectorWorld> {
  const database = await on.createDatabase();
  await database.query('CREATE TABLE items (id int PRIMARY KEY, name text)');
  const registry = new MemoryRegistry();
  return {
    registry,
    table: 'public.items',
    open: (bounds = {}) =>
      postgresConnector({
        pipeline: 'conformance',
        url: database.url,
        tables: ['public.items'],
        prefix: 'test',
        partitions: 1,
        version: '0.0.0',
        registry,
        log: silent,
        statusIntervalMs: 50,
        reconnectMs: 20,
        ...(bounds.batchRowsMax === undefined ? {} : { batchRowsMax: bounds.batchRowsMax }),
        ...(bounds.rowsPerRange === undefined ? {} : { snapshotRowsPerRange: bounds.rowsPerRange }),
      }),
    write: async (items) => {
      await database.query('BEGIN');
      const gone = items.filter(([, name]) => name === null).map(([id]) => id);
      const there = items.filter(([, name]) => name !== null);
      await database.query('DELETE FROM items WHERE id = ANY($1)', [gone]);
      await database.query(
        `INSERT INTO items SELECT * FROM unnest($1::int[], $2::text[])
         ON CONFLICT (id) DO UPDATE SET name = excluded.name`,
        [there.map(([id]) => id), there.map(([, name]) => name)],
      );
      await database.query('COMMIT');
    },
    contents: async () => {
      const rows = await database.query('SELECT id, name FROM items');
      return new Map(
        rows.map(({ id, name }) => [JSON.stringify({ id }), JSON.stringify({ id, name })]),
      );
    },
    acknowledged: async () => {
      const [slot] = await database.query(
        'SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE database = current_database()',
      );
      return String(slot?.['confirmed_flush_lsn']);
    },
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}
