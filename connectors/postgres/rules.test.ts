import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { copying, soon, start } from '../../tests/support/copying.ts';
import { hurried, snapshotTaken, streaming } from '../../tests/support/postgres-items.ts';
import {
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../tests/support/postgres.ts';
import { postgresConnector } from './connector.ts';
import type { PostgresOptions } from './options.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

async function people(): Promise<TestDatabase> {
  const database = await server.createDatabase();
  await database.query(
    'CREATE TABLE people (id int PRIMARY KEY, ssn text NOT NULL, mail text, phone varchar(20), note text)',
  );
  await database.query(`INSERT INTO people VALUES (1, 'secret', 'a@b', '555', 'ääää long')`);
  return database;
}

const rules = {
  hashKey: 'k',
  columns: {
    'public.people': { exclude: ['ssn'], hash: ['mail'], mask: ['phone'], truncate: { note: 4 } },
  },
};
const hashed = (text: string): string => createHmac('sha256', 'k').update(text).digest('hex');

describe('rules of columns', () => {
  test('are kept in the snapshot and in the stream', async () => {
    await using database = await people();
    const of = hurried(database, rules);
    const capture = await snapshotTaken(of);
    await using _ = streaming(of, capture);
    await database.query(`INSERT INTO people VALUES (2, 'secret', 'c@d', NULL, 'abc')`);
    await database.query('ALTER TABLE people REPLICA IDENTITY FULL');
    await database.query(`UPDATE people SET ssn = 'other', note = 'abcdefg' WHERE id = 2`);
    await expect.poll(() => capture.changes.length, soon).toBe(3);
    const second = { id: 2, mail: hashed('c@d'), phone: null };
    expect(capture.changes.map(({ before, after }) => ({ before, after }))).toEqual([
      { before: null, after: { id: 1, mail: hashed('a@b'), phone: '****', note: 'ääää' } },
      { before: null, after: { ...second, note: 'abc' } },
      { before: { ...second, note: 'abc' }, after: { ...second, note: 'abcd' } },
    ]);
  });

  test('stop the stream when their column gets another name', async () => {
    await using database = await people();
    const of = hurried(database, rules);
    const capture = await snapshotTaken(of);
    await database.query('ALTER TABLE people RENAME ssn TO social');
    await expect(snapshotTaken(of)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await database.query('ALTER TABLE people RENAME social TO ssn');
    await using connector = postgresConnector(of);
    const stopped = capture
      .run(connector, { after: capture.last, done: () => false })
      .catch((error: unknown) => error);
    await database.query(`INSERT INTO people VALUES (2, 'secret', NULL, NULL, NULL)`);
    await expect.poll(() => capture.changes.length, soon).toBe(2);
    await database.query('ALTER TABLE people RENAME ssn TO social');
    await database.query(`INSERT INTO people VALUES (3, 'secret', NULL, NULL, NULL)`);
    expect(await stopped).toMatchObject({ code: 'SOURCE_TABLE_CHANGED' });
    expect(capture.changes.length).toBe(2);
  });

  test.each([
    [{ exclude: ['nothing'] }, /no column nothing/],
    [{ exclude: ['id'] }, /primary key/],
    [{ mask: ['id'] }, /primary key/],
    [{ hash: ['mail'] }, /no key to hash/],
    [{ truncate: { born: 3 } }, /born is date/],
  ])('that cannot be kept are refused: %o', async (columns, reason) => {
    await using database = await people();
    await database.query('ALTER TABLE people ADD born date');
    const of = hurried(database, { columns: { 'public.people': columns } });
    const refusal = await snapshotTaken(of).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'CONFIG_INVALID' });
    expect(String(refusal)).toMatch(reason);
  });
});

const filtered = (database: TestDatabase, filter: string): PostgresOptions =>
  hurried(database, { filters: { 'public.people': filter } });

describe('a filter of rows', () => {
  test('holds in the snapshot and in the stream, and may change', async () => {
    await using database = await people();
    await database.query(`INSERT INTO people SELECT g, '', '' FROM generate_series(2, 9) g`);
    const capture = await snapshotTaken(filtered(database, 'id % 2 = 1 -- odd'));
    const keys = (): string[] => [...capture.table().keys()].sort();
    expect(keys()).toEqual([1, 3, 5, 7, 9].map((id) => `{"id":${id}}`));
    {
      await using _ = streaming(filtered(database, 'id % 2 = 1 -- odd'), capture);
      await database.query(`INSERT INTO people VALUES (10, '', ''), (11, '', '')`);
      await expect.poll(() => keys().length, soon).toBe(6);
    }
    await using _ = streaming(filtered(database, 'id % 2 = 0'), capture);
    await expect
      .poll(() => database.query('SELECT rowfilter AS f FROM pg_publication_tables'), soon)
      .toEqual([{ f: '((id % 2) = 0)' }]);
    await database.query(`INSERT INTO people VALUES (12, '', ''), (13, '', '')`);
    await expect.poll(() => capture.changes.at(-1)?.key, soon).toBe('{"id":12}');
    expect(keys().length).toBe(7);
  });

  test.each(['people.id > 1', 'public.people.id > 1', '"people"."id" > 1 AND id < 100'])(
    'may name its table, in the snapshot, in copies and in the stream: %s',
    async (filter) => {
      await using database = await people();
      await database.query(`INSERT INTO people SELECT g, '', '' FROM generate_series(2, 9) g`);
      const of = { ...filtered(database, filter), snapshotRowsPerRange: 3 };
      await using running = copying(of, await snapshotTaken(of));
      const { capture } = running;
      expect(capture.changes.length).toBe(8);
      await start(running, 'public.people', 'people.id > 4 AND public.people.id > 5');
      await expect.poll(() => running.state('public.people'), soon).toBe('done');
      expect(capture.changes.length).toBe(12);
      await database.query(`UPDATE people SET note = 'new'`);
      await expect.poll(() => capture.changes.length, soon).toBe(20);
    },
  );

  test('may name a partitioned table without a key', async () => {
    await using database = await server.createDatabase();
    await database.query(`
      CREATE TABLE log (n int) PARTITION BY RANGE (n);
      CREATE TABLE low PARTITION OF log FOR VALUES FROM (0) TO (10);
      CREATE TABLE high PARTITION OF log FOR VALUES FROM (10) TO (20);
      ALTER TABLE log REPLICA IDENTITY FULL; ALTER TABLE low REPLICA IDENTITY FULL;
      ALTER TABLE high REPLICA IDENTITY FULL;
      INSERT INTO log SELECT generate_series(0, 19)`);
    const capture = await snapshotTaken(
      hurried(database, { tables: ['public.log'], filters: { 'public.log': 'log.n > 4' } }),
    );
    expect(capture.changes.length).toBe(15);
  });

  test('that would break updates in the application is refused, with the SQL', async () => {
    await using database = await people();
    const refusal = await snapshotTaken(filtered(database, `"note" <> 'x'`)).catch(
      (error: unknown) => error,
    );
    expect(refusal).toMatchObject({
      code: 'SOURCE_IDENTITY',
      remedy: 'ALTER TABLE "public"."people" REPLICA IDENTITY FULL;',
    });
    await database.query('ALTER TABLE people REPLICA IDENTITY FULL');
    const capture = await snapshotTaken(filtered(database, `"note" <> 'x'`));
    expect(capture.changes.length).toBe(1);
  });
});
