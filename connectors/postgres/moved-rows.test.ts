import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from 'pg';
import { Capture } from '../../tests/support/capture.ts';
import { contents, copying, soon, start } from '../../tests/support/copying.ts';
import { newestRows } from '../../tests/support/newest-rows.ts';
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
import { seed } from '../../tests/support/seed.ts';
import { postgresConnector } from './connector.ts';
import type { PostgresOptions } from './options.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

/** 400 rows, each with a value of its own that lies out of line, and a table beside them. */
async function withPages(more = ''): Promise<TestDatabase> {
  const database = await server.createDatabase();
  await database.query(`
    CREATE TABLE first (id int PRIMARY KEY);
    CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL, page text${more});
    ALTER TABLE items ALTER page SET STORAGE EXTERNAL;
    INSERT INTO items (id, n, page) SELECT g, g, repeat(g || ' ', 1000) FROM generate_series(1, 400) g`);
  return database;
}

/** Rows go from ranges that are left to one that was read, some by way of other keys. */
const MOVES = `
  DELETE FROM items WHERE id <= 9;
  UPDATE items SET id = 1 WHERE id = 301;
  BEGIN; UPDATE items SET id = 350000 WHERE id = 302; UPDATE items SET id = 2 WHERE id = 350000; COMMIT;
  UPDATE items SET id = 3 WHERE id = 303; UPDATE items SET n = -3 WHERE id = 3;
  UPDATE items SET id = 4 WHERE id = 304; UPDATE items SET id = 5 WHERE id = 4;
  UPDATE items SET id = 304, n = 0 WHERE id = 305; UPDATE items SET id = 6 WHERE id = 304;
  UPDATE items SET id = 7 WHERE id = 307; UPDATE items SET page = repeat('new', 2000) WHERE id = 7;
  UPDATE items SET id = 8 WHERE id = 308; DELETE FROM items WHERE id = 8;
  UPDATE items SET id = 8 WHERE id = 309; UPDATE items SET id = 309 WHERE id = 8`;

describe('a row that moves from a range that is still to be copied to one that was copied', () => {
  test.each([
    ['binary', ''],
    ['text', ', searched tsquery'],
  ])('keeps the out-of-line value that the change did not send, in %s', async (_, more) => {
    await using database = await withPages(more);
    const of = hurried(database, { tables: ['public.first'], snapshotRowsPerRange: 50 });
    const capture = await snapshotTaken(of);
    let moved = false;
    await using running = copying({ ...of, tables: ['public.*'] }, capture, async () => {
      if (moved || !capture.changes.some(({ key }) => key === '{"id":50}')) return;
      moved = true;
      await database.query(MOVES);
    });
    await expect.poll(() => running.state('public.items'), soon).toBe('done');
    await database.query(`INSERT INTO items VALUES (-1, 0, 'end')`);
    await expect.poll(() => capture.changes.at(-1)?.key, soon).toBe('{"id":-1}');
    expect(moved).toBe(true);
    expect(newestRows(capture)).toEqual(await contents(database));
    // Nothing is followed when the stream is past what the copy has seen.
    await expect.poll(() => capture.last, soon).not.toContain('followed');
  });

  test('and goes on under another key before anybody looks, has its value there', async () => {
    await using database = await withPages();
    const of = hurried(database, { tables: ['public.first'], snapshotRowsPerRange: 50 });
    const capture = await snapshotTaken(of);
    // The stream stands still after the first range: the changes are read when all of them are made.
    let moved = false;
    const client = new Client({ connectionString: database.url });
    await client.connect();
    await using running = copying({ ...of, tables: ['public.*'] }, capture, async () => {
      if (moved || !capture.changes.some(({ key }) => key === '{"id":50}')) return;
      moved = true;
      await client.query('DELETE FROM items WHERE id <= 9');
      for (let id = 400; id > 390; id--) {
        await client.query(`UPDATE items SET id = 1 WHERE id = ${id}`);
        await client.query(`UPDATE items SET id = 2 WHERE id = 1`);
        await client.query(`UPDATE items SET id = ${1000 + id} WHERE id = 2`);
        await client.query(`UPDATE items SET id = ${id - 400} WHERE id = ${1000 + id}`);
      }
    });
    await expect.poll(() => running.state('public.items'), soon).toBe('done');
    await client.end();
    await database.query(`INSERT INTO items VALUES (-100, 0, 'end')`);
    await expect.poll(() => capture.changes.at(-1)?.key, soon).toBe('{"id":-100}');
    expect(newestRows(capture)).toEqual(await contents(database));
  });

  test('does so after a kill between the move and the end of the copy', async () => {
    await using database = await withPages();
    const of = hurried(database, { tables: ['public.first'], snapshotRowsPerRange: 50 });
    const capture = await snapshotTaken(of);
    const wider = { ...of, tables: ['public.*'] };
    const first = () => capture.changes.some(({ key }) => key === '{"id":50}');
    await taken(wider, capture, first);
    await database.query(MOVES);
    // Each life takes a few batches; the last position is all that the next one has of it.
    for (let life = 0; life < 5; life++) {
      const until = capture.positions.length + 2;
      await taken(wider, capture, () => capture.positions.length >= until);
    }
    await using running = copying(wider, capture);
    await expect
      .poll(() => running.copies().every(({ state }) => state === 'done'), soon)
      .toBe(true);
    await database.query(`INSERT INTO items VALUES (-1, 0, 'end')`);
    await expect.poll(() => capture.changes.at(-1)?.key, soon).toBe('{"id":-1}');
    expect(newestRows(capture)).toEqual(await contents(database));
  });

  test('does so in whatever order rows move, with the stream behind or not', async () => {
    await using database = await withPages();
    const of = hurried(database, { tables: ['public.first'], snapshotRowsPerRange: 10 });
    const capture = await snapshotTaken(of);
    const stop = new AbortController();
    const movers = [1, 2, 3].map((mover) => moving(database, seed + mover, stop.signal));
    await using running = copying({ ...of, tables: ['public.*'] }, capture);
    await expect.poll(() => running.state('public.items'), soon).toBe('done');
    stop.abort();
    await Promise.all(movers);
    await database.query(`INSERT INTO items VALUES (-1, 0, 'end')`);
    await expect.poll(() => capture.changes.at(-1)?.key, soon).toBe('{"id":-1}');
    expect(newestRows(capture), `seed ${seed}`).toEqual(await contents(database));
  });

  test('lacks it if the column is another by then, and the stream goes on', async () => {
    await using database = await withPages();
    const of = hurried(database, { tables: ['public.first'], snapshotRowsPerRange: 50 });
    const capture = await snapshotTaken(of);
    let moved = false;
    await using running = copying({ ...of, tables: ['public.*'] }, capture, async () => {
      if (moved || !capture.changes.some(({ key }) => key === '{"id":50}')) return;
      moved = true;
      await database.query(`
        DELETE FROM items WHERE id <= 9; UPDATE items SET id = 1 WHERE id = 301;
        ALTER TABLE items RENAME page TO sheet`);
    });
    await expect.poll(() => running.state('public.items'), soon).toBe('done');
    await database.query(`INSERT INTO items VALUES (-1, 0, 'end')`);
    await expect.poll(() => capture.changes.at(-1)?.key, soon).toBe('{"id":-1}');
    const create = capture.changes.find(({ op, key }) => op === 'c' && key === '{"id":1}');
    expect(create?.after).toMatchObject({ page: '__debezium_unavailable_value' });
  });

  test('is looked up in a copy on demand too, and no longer when that is done', async () => {
    await using database = await withPages();
    const of = hurried(database, { snapshotRowsPerRange: 50 });
    await using running = copying(of, await snapshotTaken(of));
    const { capture } = running;
    await start(running, 'public.items', 'id < 100');
    await expect.poll(() => running.state('public.items'), soon).toBe('done');
    await database.query(`INSERT INTO first VALUES (1)`);
    await expect.poll(() => capture.last, soon).not.toContain('followed');
    await database.query('UPDATE items SET id = 0 WHERE id = 1');
    await expect.poll(() => capture.changes.at(-1)?.key, soon).toBe('{"id":0}');
    expect(capture.changes.at(-1)?.after).toMatchObject({ page: '__debezium_unavailable_value' });
  });
});

describe('a row that moves while the first snapshot is interrupted', () => {
  test('keeps the out-of-line value, and no range is read twice', async () => {
    await using database = await withPages();
    const options = hurried(database, { batchRowsMax: 1, snapshotRowsPerRange: 50 });
    const capture = new Capture(registry);
    await taken(options, capture, () => capture.changes.some(({ key }) => key === '{"id":150}'));
    expect(complete(capture.last)).toBe(false);
    await database.query(MOVES);
    // A row of a finished range leaves it, and another takes its key.
    await database.query(`
      UPDATE items SET id = 500 WHERE id = 20; UPDATE items SET id = 20 WHERE id = 330;
      UPDATE items SET id = 330 WHERE id = 331; UPDATE items SET id = 331 WHERE id = 500`);
    await taken(options, capture, () => complete(capture.last));
    await using _ = streaming(options, capture);
    await database.query(`INSERT INTO items VALUES (-1, 0, 'end')`);
    await expect.poll(() => capture.changes.at(-1)?.key, soon).toBe('{"id":-1}');
    expect(newestRows(capture)).toEqual(await contents(database));
    const reads = capture.changes.filter(({ op }) => op === 'r').map(({ key }) => key);
    expect(reads.length - new Set(reads).size).toBeLessThanOrEqual(50);
  });
});

/** Runs a connector from where the capture is until `done`, and ends it as a kill would. */
async function taken(
  options: PostgresOptions,
  capture: Capture,
  done: () => boolean,
): Promise<void> {
  await using connector = postgresConnector(options);
  const after = capture.positions.at(-1) ?? null;
  await capture.run(connector, { after, done });
}

/** Moves and touches rows at random, without their pages, until it is told to stop. */
async function moving(database: TestDatabase, from: number, signal: AbortSignal): Promise<void> {
  const random = numbersFrom(from);
  const client = new Client({ connectionString: database.url });
  await client.connect();
  const id = (): number => Math.floor(random() * 440);
  while (!signal.aborted) {
    const [a, b] = [id(), id()];
    const isFree = `NOT EXISTS (SELECT FROM items WHERE id = ${b})`;
    const move = `UPDATE items SET id = ${b}, n = n + 1 WHERE id = ${a} AND ${isFree}`;
    const touch = `UPDATE items SET n = n + 1 WHERE id = ${a}`;
    const turn = `UPDATE items SET page = repeat('${a} ${b}', 1000) WHERE id = ${b}`;
    const pick = random();
    // Two may want the same key at once: one of them is refused.
    await client.query(pick < 0.7 ? move : pick < 0.95 ? touch : turn).catch(() => {});
  }
  await client.end();
}

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
function numbersFrom(from: number): () => number {
  let state = from | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
