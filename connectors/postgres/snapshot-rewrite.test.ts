import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Capture } from '../../tests/support/capture.ts';
import { complete, hurried, registry } from '../../tests/support/postgres-items.ts';
import {
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../tests/support/postgres.ts';
import { postgresConnector } from './connector.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

const soon = { timeout: 30_000 };

async function writing(database: TestDatabase, sql: string) {
  const client = new Client({ connectionString: database.url });
  client.on('error', () => {});
  await client.connect();
  await client.query(`BEGIN; ${sql}`);
  const { rows } = await client.query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid');
  const xid = rows[0]?.xid ?? '';
  return Object.assign(client, { xid, [Symbol.asyncDispose]: () => client.end() });
}

test('a table that is rewritten between the snapshot and its lock is not read as the nothing that the snapshot sees', async () => {
  await using database = await server.createDatabase();
  await database.query(`CREATE TABLE items (id int PRIMARY KEY, n int);
    INSERT INTO items SELECT g, g FROM generate_series(1, 300) g`);
  // The slot waits for transactions twice; what begins meanwhile its snapshot does not see.
  const waitedFor = async (xid: string): Promise<void> => {
    const waits = `SELECT count(*)::int AS n FROM pg_locks WHERE NOT granted AND transactionid = '${xid}'`;
    await expect.poll(async () => (await database.query(waits))[0]?.['n'], soon).toBe(1);
  };
  await using first = await writing(database, 'SELECT 1');
  await using connector = postgresConnector(hurried(database));
  const capture = new Capture(registry);
  const taken = capture.run(connector, {
    after: null,
    done: ({ position }) => complete(position),
  });
  await waitedFor(first.xid);
  await using second = await writing(database, 'SELECT 1');
  await first.query('COMMIT');
  await waitedFor(second.xid);
  await using rewriting = await writing(database, 'ALTER TABLE items ALTER n TYPE smallint');
  await second.query('COMMIT');
  const locks = `SELECT count(*)::int AS n FROM pg_locks WHERE NOT granted AND relation = 'items'::regclass`;
  await expect.poll(async () => (await database.query(locks))[0]?.['n'], soon).toBe(1);
  await rewriting.query('COMMIT');
  await taken;
  expect(capture.changes.filter(({ op }) => op === 'r').length).toBe(300);
});
