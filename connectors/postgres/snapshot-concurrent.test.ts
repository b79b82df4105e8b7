import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Capture, json } from '../../tests/support/capture.ts';
import {
  complete,
  hurried,
  registry,
  snapshotTaken,
  streaming,
} from '../../tests/support/postgres-items.ts';
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

async function connected(database: TestDatabase): Promise<Client & AsyncDisposable> {
  const client = new Client({ connectionString: database.url });
  client.on('error', () => {});
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

describe('a snapshot over several connections', () => {
  test('reads ranges of several tables at once, each row once, within the bounds of one batch', async () => {
    await using database = await server.createDatabase();
    await database.query(`
      CREATE TABLE large (id int PRIMARY KEY, text text);
      INSERT INTO large SELECT g, repeat('x', 500) FROM generate_series(1, 8000) g;
      CREATE TABLE log (n int, line text); ALTER TABLE log REPLICA IDENTITY FULL;
      INSERT INTO log SELECT g, repeat('y', 200) FROM generate_series(1, 4000) g;
      CREATE TABLE small (id int PRIMARY KEY); INSERT INTO small VALUES (1), (2)`);
    let rows = 0;
    const of = hurried(database, {
      snapshotConcurrency: 3,
      snapshotRowsPerRange: 500,
      batchBytesMax: 600_000,
      onProgress: (progress) => (rows = progress.rows),
    });
    await using connector = postgresConnector(of);
    const capture = new Capture(registry);
    let readers = 0;
    let bytesMax = 0;
    await capture.run(connector, {
      after: null,
      done: ({ position }) => complete(position),
      published: async ({ outgoing }) => {
        const bytes = outgoing.reduce((sum, { records }) => sum + records.bytes, 0);
        bytesMax = Math.max(bytesMax, bytes);
        const [found] = await database.query(
          `SELECT count(*)::int AS n FROM pg_stat_activity
           WHERE datname = current_database() AND query LIKE 'COPY%'`,
        );
        readers = Math.max(readers, Number(found?.['n']));
      },
    });
    expect(readers).toBeGreaterThan(1);
    // A third of a batch each, and what one read of a socket may add.
    expect(bytesMax).toBeLessThan(400_000);
    expect(rows).toBe(12_002);
    expect(capture.changes.length).toBe(12_002);
    expect(new Set(capture.changes.map(({ after }) => json(after))).size).toBe(12_002);
    expect(capture.positions).toEqual(capture.positions.toSorted());
  });

  test('that is killed again and again goes on with the ranges left, and loses and doubles nothing', async () => {
    await using database = await server.createDatabase();
    await database.query(`
      CREATE TABLE items (id int PRIMARY KEY, name text);
      INSERT INTO items SELECT g, 'name ' || g FROM generate_series(1, 6000) g;
      CREATE TABLE log (n int, line text); ALTER TABLE log REPLICA IDENTITY FULL;
      INSERT INTO log SELECT g, repeat('x', 100) FROM generate_series(1, 6000) g`);
    const of = hurried(database, {
      snapshotConcurrency: 3,
      snapshotRowsPerRange: 200,
      batchRowsMax: 300,
      batchBytesMax: 100_000,
    });
    const capture = new Capture(registry);
    let kills = 0;
    for (; kills === 0 || !complete(capture.last); kills++) {
      await using connector = postgresConnector(of);
      let batches = 0;
      await capture.run(connector, {
        after: capture.positions.at(-1) ?? null,
        done: ({ position }) => complete(position) || ++batches > 5 + (kills % 7),
      });
      await database.query(`
        UPDATE items SET name = name || '!' WHERE id % 50 = ${kills % 50};
        INSERT INTO log VALUES (${10_000 + kills}, 'late')`);
    }
    expect(kills).toBeGreaterThan(5);
    const reads = capture.changes.filter(({ op, topic }) => op === 'r' && topic.endsWith('log'));
    expect(reads.map(({ after }) => Number(after?.['n'])).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 6000 }, (_, i) => i + 1),
    );
    expect(capture.positions).toEqual(capture.positions.toSorted());
    // What was finished is not read again, but for the ranges in hand of each life.
    expect(capture.changes.length).toBeLessThan(12_000 + kills * 3 * 200);
    await using _ = streaming(of, capture);
    await database.query(`INSERT INTO items VALUES (-1, 'end')`);
    await expect
      .poll(() => capture.changes.some(({ key }) => key === '{"id":-1}'), soon)
      .toBe(true);
    const rows = await database.query('SELECT * FROM items');
    expect(capture.table()).toEqual(
      new Map(rows.map((row) => [JSON.stringify({ id: row['id'] }), JSON.stringify(row)])),
    );
  });

  test.each([1, 3])(
    'lets a table be altered once it is published, and not before (%i connections)',
    async (snapshotConcurrency) => {
      await using database = await server.createDatabase();
      await database.query(`
        CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 100);
        CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b SELECT generate_series(1, 4000)`);
      await using other = await connected(database);
      await other.query(`SET lock_timeout = '20s'`);
      const of = hurried(database, {
        snapshotConcurrency,
        snapshotRowsPerRange: 50,
        batchRowsMax: 50,
      });
      await using connector = postgresConnector(of);
      const capture = new Capture(registry);
      let altered: Promise<unknown> | null = null;
      let batches = 0;
      let refused: unknown = null;
      await capture.run(connector, {
        after: null,
        done: ({ position }) => complete(position),
        published: async () => {
          batches++;
          if (batches === 5) altered = other.query('ALTER TABLE a ADD more int');
          // Each reader has come by since and let go.
          if (batches === 20) {
            await altered;
            await database.query(`SET lock_timeout = '50ms'`);
            refused = await database.query('ALTER TABLE b ADD more int').catch((error) => error);
          }
        },
      });
      expect(refused).toMatchObject({ code: '55P03' });
      expect(capture.changes.length).toBe(4100);
      await using _ = streaming(of, capture);
      await database.query('INSERT INTO a VALUES (0, 7)');
      await expect.poll(() => capture.changes.at(-1)?.after, soon).toEqual({ id: 0, more: 7 });
    },
  );
});

test('a migration that has written and then alters a table is not kept waiting by the making of the slot', async () => {
  await using database = await server.createDatabase();
  await database.query('CREATE TABLE t (id int PRIMARY KEY, n int); CREATE TABLE done (id int)');
  await database.query('INSERT INTO t SELECT g, g FROM generate_series(1, 50) g');
  await using older = await connected(database);
  await using migration = await connected(database);
  // The slot cannot be made before both have ended.
  await older.query('BEGIN; INSERT INTO done VALUES (1)');
  await migration.query('BEGIN; INSERT INTO done VALUES (2)');
  const taking = snapshotTaken(hurried(database, { tables: ['public.t'], snapshotConcurrency: 2 }));
  const waits = async (): Promise<unknown> =>
    (await database.query(`SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE_REPLICATION%'`))
      .length;
  await expect.poll(waits, soon).toBe(1);
  await migration.query('ALTER TABLE t ALTER n TYPE bigint; COMMIT');
  await older.query('COMMIT');
  const capture = await taking;
  expect(capture.changes.map(({ after }) => Number(after?.['n'])).sort((a, b) => a - b)).toEqual(
    Array.from({ length: 50 }, (_, i) => i + 1),
  );
});
