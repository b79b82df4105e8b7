import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from 'pg';
import { pino } from 'pino';
import { contents, copying, reads, soon, start } from '../../tests/support/copying.ts';
import { hurried, insert, snapshotTaken, withItems } from '../../tests/support/postgres-items.ts';
import {
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../tests/support/postgres.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

describe('a copy while the stream goes on', () => {
  test('reads every row again, above all that came before and below all that comes later', async () => {
    await using database = await withItems(server, 500);
    const of = hurried(database, { snapshotRowsPerRange: 50 });
    await using running = copying(of, await snapshotTaken(of));
    const { capture } = running;
    await insert(database, 501, 600);
    await expect.poll(() => capture.changes.length, soon).toBe(600);
    const newest = capture.changes.at(-1)?.version ?? 0n;
    capture.changes.length = 0;
    await start(running, 'public.items');
    await expect.poll(() => running.state('public.items'), soon).toBe('done');
    expect(reads(capture).length).toBe(600);
    expect(reads(capture).every(({ version }) => version > newest)).toBe(true);
    await database.query(`UPDATE items SET name = 'later'`);
    await expect.poll(() => capture.changes.length, soon).toBe(1200);
    expect(capture.table()).toEqual(await contents(database));
  });

  test('makes the table that the source has, whatever is written meanwhile', async () => {
    await using database = await withItems(server, 3_000);
    const of = hurried(database, { snapshotRowsPerRange: 100 });
    await using running = copying(of, await snapshotTaken(of));
    const { capture } = running;
    capture.changes.length = 0;
    const stop = new AbortController();
    const writers = [1, 2, 3].map((seed) => writing(database, seed, stop.signal));
    await start(running, 'public.items');
    await expect.poll(() => running.state('public.items'), soon).toBe('done');
    stop.abort();
    await Promise.all(writers);
    await database.query(`INSERT INTO items VALUES (-1, 'end')`);
    await expect.poll(() => capture.changes.at(-1)?.key, soon).toBe('{"id":-1}');
    // What came before the copy is forgotten, so only the copy can have the rows nobody wrote.
    expect(capture.table()).toEqual(await contents(database));
  });

  test('reads a table that is rewritten as a range begins, and not the nothing that an older snapshot sees', async () => {
    await using database = await server.createDatabase();
    await database.query(`CREATE TABLE items (id int PRIMARY KEY, n int);
      INSERT INTO items SELECT g, g FROM generate_series(1, 500) g`);
    const of = hurried(database, { snapshotRowsPerRange: 50 });
    await using running = copying(of, await snapshotTaken(of));
    const { capture } = running;
    capture.changes.length = 0;
    await using older = await connected(database);
    await using rewriting = await connected(database);
    await older.query('BEGIN; SELECT pg_current_xact_id()');
    await start(running, 'public.items');
    await expect.poll(() => running.state('public.items'), soon).toBe('waiting');
    await rewriting.query(`BEGIN; ALTER TABLE items ALTER n TYPE smallint`);
    await older.query('COMMIT');
    const waits = `SELECT count(*)::int AS n FROM pg_locks WHERE NOT granted`;
    await expect.poll(async () => (await database.query(waits))[0]?.['n'], soon).toBe(1);
    await rewriting.query('COMMIT');
    await expect.poll(() => running.state('public.items'), soon).toBe('done');
    expect(reads(capture).length).toBe(500);
    expect(capture.table()).toEqual(await contents(database));
  });

  test('waits for an index that is made anew, and the stream does not', async () => {
    await using database = await server.createDatabase();
    await database.query(`CREATE TABLE items (id int PRIMARY KEY, n int);
      INSERT INTO items SELECT g, g FROM generate_series(1, 500) g;
      CREATE TABLE other (id int PRIMARY KEY)`);
    const of = hurried(database, { snapshotRowsPerRange: 50 });
    await using running = copying(of, await snapshotTaken(of));
    const { capture } = running;
    capture.changes.length = 0;
    await using older = await connected(database);
    await using indexing = await connected(database);
    await older.query('BEGIN; SELECT pg_current_xact_id()');
    await start(running, 'public.items');
    await expect.poll(() => running.state('public.items'), soon).toBe('waiting');
    await indexing.query('BEGIN; REINDEX INDEX items_pkey');
    await older.query('COMMIT');
    const waits = `SELECT count(*)::int AS n FROM pg_locks WHERE NOT granted`;
    await expect.poll(async () => (await database.query(waits))[0]?.['n'], soon).toBe(1);
    await database.query('INSERT INTO other VALUES (1)');
    await expect.poll(() => capture.changes.length, soon).toBe(1);
    await indexing.query('COMMIT');
    await expect.poll(() => running.state('public.items'), soon).toBe('done');
    expect(reads(capture).length).toBe(500);
  });

  test('waits for a transaction that is older than it, and the stream does not', async () => {
    await using database = await withItems(server, 20);
    const of = hurried(database);
    await using running = copying(of, await snapshotTaken(of));
    const { capture } = running;
    const client = new Client({ connectionString: database.url });
    await client.connect();
    await client.query('BEGIN');
    await client.query(`UPDATE items SET name = 'of the old one' WHERE id = 7`);
    await start(running, 'public.items');
    await expect.poll(() => running.state('public.items'), soon).toBe('waiting');
    await insert(database, 21, 21);
    await expect.poll(() => capture.changes.length, soon).toBe(21);
    expect(reads(capture).length).toBe(20);
    await client.query('COMMIT');
    await client.end();
    await expect.poll(() => running.state('public.items'), soon).toBe('done');
    await expect.poll(() => capture.table().get('{"id":7}'), soon).toContain('of the old one');
    expect(capture.table()).toEqual(await contents(database));
  });

  test('comes before the changes that need its out-of-line values', async () => {
    await using database = await server.createDatabase();
    await database.query(
      'CREATE TABLE items (id int PRIMARY KEY, name text, big text); ALTER TABLE items ALTER big SET STORAGE EXTERNAL',
    );
    await database.query(
      `INSERT INTO items SELECT g, 'n', repeat('x', 5000) FROM generate_series(1, 400) g`,
    );
    await database.query('CREATE TABLE first (id int PRIMARY KEY)');
    const of = hurried(database, { tables: ['public.first'], snapshotRowsPerRange: 20 });
    const capture = await snapshotTaken(of);
    const stop = new AbortController();
    const writer = touching(database, stop.signal);
    await using running = copying({ ...of, tables: ['public.*'] }, capture);
    await expect.poll(() => running.state('public.items'), soon).toBe('done');
    stop.abort();
    await writer;
    await database.query(`INSERT INTO items VALUES (-1, 'end', '')`);
    await expect.poll(() => capture.changes.at(-1)?.key, soon).toBe('{"id":-1}');
    // As the compact stage does it: a change takes what it lacks from the row before it.
    const rows = new Map<string, { version: bigint; big: unknown }>();
    for (const { key, version, after, topic } of capture.changes) {
      if (key === null || after === null || !topic.endsWith('items')) continue;
      const known = rows.get(key);
      if (known !== undefined && known.version >= version) continue;
      const unsent = after['big'] === '__debezium_unavailable_value';
      rows.set(key, { version, big: unsent ? known?.big : after['big'] });
    }
    expect(rows.size).toBe(401);
    expect([...rows.values()].filter(({ big }) => big === undefined)).toEqual([]);
  });

  test('whose condition fails on a row says so, and not which value that was', async () => {
    await using database = await withItems(server, 20);
    const of = hurried(database);
    const lines: string[] = [];
    const log = pino({ level: 'info' }, { write: (line) => void lines.push(line) });
    await using running = copying({ ...of, log }, await snapshotTaken(of));
    await start(running, 'public.items', 'name::int > 5');
    await expect.poll(() => running.state('public.items'), soon).toBe('failed');
    const said = [...lines, ...running.copies().map(({ failure }) => failure)].join('\n');
    expect(said).toContain('22P02');
    expect(said).not.toContain('name 1');
  });

  test('copies only what the condition says', async () => {
    await using database = await withItems(server, 100);
    const of = hurried(database, { snapshotRowsPerRange: 10 });
    await using running = copying(of, await snapshotTaken(of));
    running.capture.changes.length = 0;
    await start(running, 'public.items', 'id % 10 = 3 -- every tenth');
    await expect.poll(() => running.state('public.items'), soon).toBe('done');
    expect(reads(running.capture).map(({ key }) => key)).toEqual(
      Array.from({ length: 10 }, (_, i) => `{"id":${i * 10 + 3}}`),
    );
  });
});

/** Inserts, updates and deletes rows at random until it is told to stop. */
async function writing(database: TestDatabase, seed: number, signal: AbortSignal): Promise<void> {
  const client = new Client({ connectionString: database.url });
  await client.connect();
  for (let turn = 1; !signal.aborted; turn++) {
    const id = (turn * 7919 * seed) % 4_000;
    await client.query('BEGIN');
    await client.query(`UPDATE items SET name = $1 WHERE id = $2`, [`${seed}.${turn}`, id]);
    await client.query(`DELETE FROM items WHERE id = $1`, [(id * 31) % 4_000]);
    await client.query(
      `INSERT INTO items VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET name = excluded.name`,
      [(id * 17) % 4_000, `new ${turn}`],
    );
    await client.query(turn % 5 === 0 ? 'ROLLBACK' : 'COMMIT').catch(() => {});
  }
  await client.end();
}

/** Updates rows without touching what lies out of line, until it is told to stop. */
async function touching(database: TestDatabase, signal: AbortSignal): Promise<void> {
  const client = new Client({ connectionString: database.url });
  await client.connect();
  for (let turn = 0; !signal.aborted; turn++) {
    await client.query(`UPDATE items SET name = $1 WHERE id % 40 = $2`, [`t${turn}`, turn % 40]);
  }
  await client.end();
}

describe('a table that is added to the configuration', () => {
  test('is copied while the stream goes on, once', async () => {
    await using database = await withItems(server, 300);
    await database.query('CREATE TABLE first (id int PRIMARY KEY)');
    const of = hurried(database, { tables: ['public.first'], snapshotRowsPerRange: 50 });
    const capture = await snapshotTaken(of);
    const wider = { ...of, tables: ['public.*'] };
    {
      await using running = copying(wider, capture);
      await expect.poll(() => running.state('public.items'), soon).toBe('done');
      await insert(database, 301, 310);
      await expect.poll(() => capture.changes.length, soon).toBe(310);
    }
    expect(capture.table()).toEqual(await contents(database));
    await using again = copying(wider, capture);
    await database.query('INSERT INTO first VALUES (1)');
    await expect.poll(() => capture.changes.length, soon).toBe(311);
    expect(again.copies()).toEqual([]);
  });

  test('is copied if somebody else had published it and its topic is empty', async () => {
    await using database = await withItems(server, 30);
    await database.query('CREATE TABLE first (id int PRIMARY KEY)');
    await database.query('CREATE TABLE hollow (id int PRIMARY KEY)');
    await database.query('CREATE PUBLICATION millrace_hurried FOR ALL TABLES');
    const of = hurried(database, { tables: ['public.first'] });
    const capture = await snapshotTaken(of);
    const newTables = ['public.items', 'public.hollow'];
    await using running = copying({ ...of, tables: ['public.*'], newTables }, capture);
    await expect.poll(() => running.state('public.items'), soon).toBe('done');
    expect(reads(capture).length).toBe(30);
    expect(running.state('public.hollow')).toBe(undefined);
  });

  test('and removed again, stops without a trace of it', async () => {
    await using database = await withItems(server, 30);
    await database.query('CREATE TABLE first (id int PRIMARY KEY)');
    const of = hurried(database);
    const capture = await snapshotTaken(of);
    const narrower = { ...of, tables: ['public.first'] };
    await using _ = copying(narrower, capture);
    await expect
      .poll(() => database.query('SELECT tablename FROM pg_publication_tables'), soon)
      .toEqual([{ tablename: 'first' }]);
    await insert(database, 31, 40);
    await database.query('INSERT INTO first VALUES (1)');
    await expect.poll(() => capture.changes.length, soon).toBe(31);
    expect(capture.changes.at(-1)?.topic).toBe('test.public.first');
  });
});

async function connected(database: TestDatabase): Promise<Client & AsyncDisposable> {
  const client = new Client({ connectionString: database.url });
  client.on('error', () => {});
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}
