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
  hasPostgres,
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../tests/support/postgres.ts';
import { postgresConnector } from './connector.ts';
import type { PostgresOptions } from './options.ts';
import type { SnapshotProgress } from './snapshot-progress.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

/** Takes so many batches of the snapshot and stops, as a crash would. */
async function begun(options: PostgresOptions, batches: number): Promise<Capture> {
  await using connector = postgresConnector(options);
  const capture = new Capture(registry);
  await capture.run(connector, { after: null, done: () => capture.positions.length === batches });
  expect(complete(capture.last)).toBe(false);
  return capture;
}

async function resumed(options: PostgresOptions, from: Capture): Promise<Capture> {
  await using connector = postgresConnector(options);
  const capture = new Capture(registry);
  await capture.run(connector, {
    after: from.last,
    done: ({ position }) => complete(position),
  });
  return capture;
}

async function rowsOf(database: TestDatabase, table: string): Promise<string[]> {
  return (await database.query(`SELECT * FROM ${table}`)).map((row) => json(row)).sort();
}

const afters = (capture: Capture, op: string): string[] =>
  capture.changes
    .filter((change) => change.op === op)
    .map(({ after }) => json(after))
    .sort();

describe('a snapshot', () => {
  test('reads tables as they are when it begins, whatever was altered since they were looked at', async () => {
    await using database = await server.createDatabase();
    await database.query(
      'CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT g, g FROM generate_series(1, 50) g',
    );
    const altering = database.query('ALTER TABLE t ALTER n TYPE bigint');
    const capture = await snapshotTaken(hurried(database, { tables: ['public.t'] }));
    await altering;
    expect(capture.changes.filter(({ op }) => op === 'r').length).toBe(50);
  });

  test('that begins anew truncates first what an earlier one has left downstream', async () => {
    await using database = await server.createDatabase();
    await database.query(`
      CREATE TABLE old (id int PRIMARY KEY); INSERT INTO old VALUES (1), (2);
      CREATE TABLE young (id int PRIMARY KEY); INSERT INTO young VALUES (1)`);
    const capture = await snapshotTaken(
      hurried(database, { tables: ['public.*'], newTables: ['public.young'] }),
    );
    const of = (table: string) => capture.changes.filter(({ topic }) => topic.endsWith(table));
    expect(of('old').map(({ op }) => op)).toEqual(['t', 'r', 'r']);
    expect(of('young').map(({ op }) => op)).toEqual(['r']);
    const [emptied, row] = of('old');
    expect(emptied!.version).toBe(row!.version - 1n);
  });

  test('reads tables of any key in ranges, each row once', async () => {
    await using database = await server.createDatabase();
    await database.query(`
      CREATE TYPE mood AS ENUM ('sad', 'glad', 'so so');
      CREATE TABLE texts (word text, n int, PRIMARY KEY (word, n));
      INSERT INTO texts SELECT (ARRAY['it''s', 'Ä', 'a\\b', '"', '', 'Zz', 'zZ', ' x', E'\\n', '%'])[g % 10 + 1], g
        FROM generate_series(1, 1000) g;
      CREATE TABLE moods (mood mood, at timestamptz, x float8, PRIMARY KEY (mood, at, x));
      INSERT INTO moods SELECT (enum_range(null::mood))[g % 3 + 1], now() + g * interval '1.000001 s', g / 3.0
        FROM generate_series(1, 1000) g;
      CREATE TABLE ids (id uuid PRIMARY KEY); INSERT INTO ids SELECT gen_random_uuid() FROM generate_series(1, 1000);
      CREATE TABLE bytes (id bytea PRIMARY KEY, n numeric);
      INSERT INTO bytes SELECT sha256(g::text::bytea), g / 7.0 FROM generate_series(1, 1000) g;
      CREATE TABLE empty (id int PRIMARY KEY)`);
    const ranges: number[] = [];
    const capture = await snapshotTaken(
      hurried(database, {
        snapshotRowsPerRange: 64,
        batchRowsMax: 1,
        onProgress: ({ rows }) => ranges.push(rows),
      }),
    );
    expect(capture.changes.length).toBe(4000);
    const keys = capture.changes.map(({ topic, key }) => `${topic} ${key}`);
    expect(new Set(keys).size).toBe(4000);
    expect(ranges.length).toBeGreaterThan(4 * 15);
    expect(ranges).toEqual(ranges.toSorted((a, b) => a - b));
  });

  test('reads partitioned tables as one, with and without a key', async () => {
    await using database = await server.createDatabase();
    for (const [name, key] of [
      ['keyed', ', PRIMARY KEY (id)'],
      ['bare', ''],
    ]) {
      await database.query(`
        CREATE TABLE ${name} (gone int, id int, name text ${key}) PARTITION BY RANGE (id);
        ALTER TABLE ${name} DROP COLUMN gone;
        CREATE TABLE ${name}_1 (name text, id int NOT NULL);
        ALTER TABLE ${name} ATTACH PARTITION ${name}_1 FOR VALUES FROM (0) TO (500);
        CREATE TABLE ${name}_2 PARTITION OF ${name} FOR VALUES FROM (500) TO (2000);
        ALTER TABLE ${name} REPLICA IDENTITY FULL;
        ALTER TABLE ${name}_1 REPLICA IDENTITY FULL; ALTER TABLE ${name}_2 REPLICA IDENTITY FULL;
        INSERT INTO ${name} SELECT g, 'name ' || g FROM generate_series(1, 1000) g`);
    }
    const options = hurried(database, { snapshotRowsPerRange: 100, batchRowsMax: 50 });
    const capture = await snapshotTaken(options);
    for (const name of ['keyed', 'bare']) {
      const found = capture.changes.filter(({ topic }) => topic === `test.public.${name}`);
      expect(found.map(({ after }) => json(after)).sort()).toEqual(await rowsOf(database, name));
    }
    await using _ = streaming(options, capture);
    await database.query(
      `INSERT INTO keyed VALUES (1500, 'new'); INSERT INTO bare VALUES (20, 'new')`,
    );
    await expect
      .poll(() =>
        capture.changes
          .slice(2000)
          .map(({ topic }) => topic)
          .sort(),
      )
      .toEqual(['test.public.bare', 'test.public.keyed']);
  });

  test('tells its progress', async () => {
    await using database = await server.createDatabase();
    await database.query(`
      CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 1000); ANALYZE a;
      CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b SELECT generate_series(1, 10)`);
    const told: SnapshotProgress[] = [];
    const bounds = { batchRowsMax: 100, snapshotRowsPerRange: 100 };
    await snapshotTaken(hurried(database, { ...bounds, onProgress: (each) => told.push(each) }));
    expect(told[0]?.rowsEstimated).toBe(1000);
    expect(told.at(-1)).toMatchObject({ rows: 1010, rowsEstimated: 1010, remainingSeconds: 0 });
    expect(told.at(-1)?.tables.map(({ table, done }) => [table, done])).toEqual([
      ['public.a', true],
      ['public.b', true],
    ]);
  });
});

describe('a snapshot that was interrupted', () => {
  test('reads only the ranges that are left', async () => {
    await using database = await server.createDatabase();
    await database.query(
      'CREATE TABLE items (id int PRIMARY KEY, n int); INSERT INTO items SELECT g, g FROM generate_series(1, 1000) g',
    );
    const options = hurried(database, { batchRowsMax: 1, snapshotRowsPerRange: 100 });
    const first = await begun(options, 4);
    const rest = await resumed(options, first);
    expect(first.changes.length + rest.changes.length).toBeLessThanOrEqual(1100);
    expect(new Set([...first.changes, ...rest.changes].map(({ key }) => key)).size).toBe(1000);
  });

  test('reads rows without a key once, and leaves later ones to the stream', async () => {
    await using database = await server.createDatabase();
    await database.query(`
      CREATE TABLE log (n int, line text); ALTER TABLE log REPLICA IDENTITY FULL;
      INSERT INTO log SELECT g, repeat('x', 100) FROM generate_series(1, 5000) g`);
    const original = await rowsOf(database, 'log');
    const options = hurried(database, { batchBytesMax: 64 * 1024 });
    const capture = await begun(options, 2);
    await database.query(`INSERT INTO log SELECT g, 'late' FROM generate_series(5001, 5100) g`);
    const rest = await resumed(options, capture);
    capture.changes.push(...rest.changes);
    capture.positions.push(...rest.positions);
    expect(afters(capture, 'r')).toEqual(original);
    await using _ = streaming(options, capture);
    await expect.poll(() => afters(capture, 'c').length).toBe(100);
  });

  test.skipIf(!hasPostgres(15))('goes on the same way on PostgreSQL 15', async () => {
    await using older = await startPostgres({ version: 15 });
    await using database = await older.createDatabase();
    await database.query(`
      CREATE TABLE log (n int); ALTER TABLE log REPLICA IDENTITY FULL;
      INSERT INTO log SELECT generate_series(1, 5000)`);
    const options = hurried(database, { batchBytesMax: 64 * 1024 });
    const capture = await begun(options, 1);
    await database.query('INSERT INTO log VALUES (5001)');
    capture.changes.push(...(await resumed(options, capture)).changes);
    expect(afters(capture, 'r').length).toBe(5000);
  });
});

describe('a table that changes while it is streamed', () => {
  test('a column that must come as text turns the stream to text, without loss', async () => {
    await using database = await server.createDatabase();
    await database.query('CREATE TABLE items (id int PRIMARY KEY, n numeric)');
    const options = hurried(database);
    const capture = await snapshotTaken(options);
    await using _ = streaming(options, capture);
    await database.query('INSERT INTO items VALUES (1, 1.50)');
    await expect.poll(() => capture.changes.length).toBe(1);
    await database.query(`ALTER TABLE items ADD at tsquery`);
    await database.query(`INSERT INTO items VALUES (2, 2.25, '1 & 2')`);
    await expect.poll(() => capture.changes.length).toBe(2);
    expect(capture.changes[1]?.after).toMatchObject({ id: 2, at: "'1' & '2'" });
    await database.query(`UPDATE items SET n = 3 WHERE id = 1`);
    await expect.poll(() => capture.changes.length).toBe(3);
  });

  test('columns that come and go are there exactly in the rows that had them', async () => {
    await using database = await server.createDatabase();
    await database.query('CREATE TABLE items (id int PRIMARY KEY, a text)');
    const options = hurried(database);
    const capture = await snapshotTaken(options);
    await database.query(`INSERT INTO items VALUES (1, 'a')`);
    await database.query(`ALTER TABLE items ADD b int; INSERT INTO items VALUES (2, 'a', 2)`);
    await database.query(`ALTER TABLE items DROP a; INSERT INTO items VALUES (3, 3)`);
    await database.query(`TRUNCATE items`);
    await using _ = streaming(options, capture);
    await expect.poll(() => capture.changes.length).toBe(4);
    expect(capture.changes.map(({ op, after }) => [op, after && Object.keys(after)])).toEqual([
      ['c', ['id', 'a']],
      ['c', ['id', 'a', 'b']],
      ['c', ['id', 'b']],
      ['t', null],
    ]);
  });
});
