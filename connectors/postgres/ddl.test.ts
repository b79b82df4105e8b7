import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Capture, CapturedChange } from '../../tests/support/capture.ts';
import {
  failure,
  hurried,
  insert,
  readerOf,
  snapshotTaken,
  streaming,
  withItems,
} from '../../tests/support/postgres-items.ts';
import { startPostgres, type TestPostgres } from '../../tests/support/postgres.ts';
import { postgresConnector } from './connector.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

const soon = { timeout: 15_000 };
const count = async (capture: Capture, changes: number): Promise<readonly CapturedChange[]> => {
  await expect.poll(() => capture.changes.length, soon).toBeGreaterThanOrEqual(changes);
  return capture.changes;
};

describe('while the stream goes on, a table', () => {
  test('that gains, renames, retypes and drops columns is written as it is at each change', async () => {
    await using database = await withItems(server, 1);
    const of = hurried(database);
    const capture = await snapshotTaken(of);
    await using _ = streaming(of, capture);
    await database.query(`ALTER TABLE items ADD extra int DEFAULT 7`);
    await database.query(`INSERT INTO items VALUES (2, 'two', 2)`);
    await database.query(`ALTER TABLE items RENAME extra TO more`);
    await database.query(`INSERT INTO items VALUES (3, 'three', 3)`);
    await database.query(`ALTER TABLE items ALTER more TYPE text`);
    await database.query(`INSERT INTO items VALUES (4, 'four', 'IV')`);
    await database.query(`ALTER TABLE items DROP name`);
    await database.query(`INSERT INTO items VALUES (5, 'V')`);
    const afters = (await count(capture, 5)).slice(1).map(({ after }) => after);
    expect(afters).toEqual([
      { id: 2, name: 'two', extra: 2 },
      { id: 3, name: 'three', more: 3 },
      { id: 4, name: 'four', more: 'IV' },
      { id: 5, more: 'V' },
    ]);
  });

  test('whose replica identity changes tells as much of the old row as that says', async () => {
    await using database = await withItems(server, 1);
    const of = hurried(database);
    const capture = await snapshotTaken(of);
    await using _ = streaming(of, capture);
    await database.query(`UPDATE items SET name = 'a'`);
    await database.query('ALTER TABLE items REPLICA IDENTITY FULL');
    await database.query(`UPDATE items SET name = 'b'`);
    await database.query('ALTER TABLE items REPLICA IDENTITY DEFAULT');
    await database.query(`UPDATE items SET name = 'c'`);
    const befores = (await count(capture, 4)).slice(1).map(({ before }) => before);
    expect(befores).toEqual([null, { id: 1, name: 'a' }, null]);
  });

  test('that is dropped ends, the others go on, and the next start names it', async () => {
    await using database = await withItems(server, 1);
    await database.query('CREATE TABLE others (id int PRIMARY KEY)');
    const of = hurried(database, { tables: ['public.items', 'public.others'] });
    const capture = await snapshotTaken(of);
    {
      await using _ = streaming(of, capture);
      await database.query(`INSERT INTO items VALUES (2, 'last')`);
      await count(capture, 2);
      await database.query('DROP TABLE items');
      await database.query('INSERT INTO others VALUES (1)');
      expect((await count(capture, 3)).map(({ topic }) => topic)).toEqual([
        'test.public.items',
        'test.public.items',
        'test.public.others',
      ]);
    }
    expect(await failure(of, capture.last)).toMatchObject({ code: 'SOURCE_TABLE_UNKNOWN' });
    const without = { ...of, tables: ['public.others'] };
    await using _ = streaming(without, capture);
    await database.query('INSERT INTO others VALUES (2)');
    await count(capture, 4);
  });

  test.each([
    ['public.items', 4],
    ['public.*', 4],
    ['public.items', 3],
  ])(
    'that is renamed stops %s with the names, and is a new table once it is configured (%i known)',
    async (pattern, known) => {
      await using database = await withItems(server, 3);
      const of = hurried(database, { tables: [pattern] });
      const capture = await snapshotTaken(of);
      await using connector = postgresConnector(of);
      const stopped = capture
        .run(connector, { after: capture.last, done: () => false })
        .catch((error: unknown) => error);
      await expect.poll(() => readerOf(database), soon).toBeTruthy();
      if (known === 4) await insert(database, 4, 4);
      await count(capture, known);
      await database.query('ALTER TABLE items RENAME TO things');
      await database.query(`INSERT INTO things VALUES (5, 'five')`);
      expect(await stopped).toMatchObject({
        code: 'SOURCE_TABLE_CHANGED',
        place: 'public.things',
        message: expect.stringContaining('public.items') as string,
      });
      // As the runtime says of a table whose topic is new.
      const renamed = { ...of, tables: ['public.things'], newTables: ['public.things'] };
      await using _ = streaming(renamed, capture);
      const things = (): ReadonlySet<string | null> =>
        new Set(
          capture.changes
            .filter(({ topic }) => topic === 'test.public.things')
            .map(({ key }) => key),
        );
      await expect.poll(() => things().size, soon).toBe(known + 1);
    },
  );

  test('that is emptied by TRUNCATE … CASCADE says so on the topic of each table', async () => {
    await using database = await withItems(server, 2);
    await database.query('CREATE TABLE parts (id int PRIMARY KEY, item int REFERENCES items)');
    const of = hurried(database);
    const capture = await snapshotTaken(of);
    await using _ = streaming(of, capture);
    await database.query('TRUNCATE items CASCADE');
    const [, , ...truncates] = await count(capture, 4);
    expect(truncates.map(({ topic, op }) => `${topic} ${op}`).sort()).toEqual([
      'test.public.items t',
      'test.public.parts t',
    ]);
  });

  test('that is partitioned is one table, and its rows may move', async () => {
    await using database = await server.createDatabase();
    await database.query(`
      CREATE TABLE items (id int, place int, PRIMARY KEY (id, place)) PARTITION BY LIST (place);
      CREATE TABLE items_1 PARTITION OF items FOR VALUES IN (1);
      CREATE TABLE items_2 PARTITION OF items FOR VALUES IN (2);
      INSERT INTO items VALUES (1, 1), (2, 2)`);
    const of = hurried(database);
    const capture = await snapshotTaken(of);
    await using _ = streaming(of, capture);
    await database.query('UPDATE items SET place = 2 WHERE id = 1');
    await database.query('CREATE TABLE items_3 PARTITION OF items FOR VALUES IN (3)');
    await database.query('INSERT INTO items VALUES (3, 3)');
    await count(capture, 5);
    expect(new Set(capture.changes.map(({ topic }) => topic))).toEqual(
      new Set(['test.public.items']),
    );
    expect([...capture.table().keys()].sort()).toEqual([
      '{"id":1,"place":2}',
      '{"id":2,"place":2}',
      '{"id":3,"place":3}',
    ]);
  });

  test('with a generated column has neither in its snapshot nor in its stream', async () => {
    await using database = await server.createDatabase();
    await database.query(
      'CREATE TABLE items (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED)',
    );
    await database.query('INSERT INTO items VALUES (1)');
    const of = hurried(database);
    const capture = await snapshotTaken(of);
    await using _ = streaming(of, capture);
    await database.query('INSERT INTO items VALUES (2)');
    expect((await count(capture, 2)).map(({ after }) => after)).toEqual([{ id: 1 }, { id: 2 }]);
  });
});
