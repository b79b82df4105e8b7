import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Capture, type CapturedChange } from '../../tests/support/capture.ts';
import { complete, hurried, registry, snapshotTaken } from '../../tests/support/postgres-items.ts';
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

/** Tables `t0`, `t1` … with so many rows each. */
async function withTables(rows: readonly number[], key = 'PRIMARY KEY'): Promise<TestDatabase> {
  const database = await server.createDatabase();
  for (const [at, count] of rows.entries()) {
    await database.query(`CREATE TABLE t${at} (id int ${key}, note text)`);
    if (key === '') await database.query(`ALTER TABLE t${at} REPLICA IDENTITY FULL`);
    await database.query(
      `INSERT INTO t${at} SELECT g, repeat('x', 50) FROM generate_series(1, ${count}) g`,
    );
  }
  return database;
}

const markOf = ({ value }: CapturedChange): unknown =>
  (value['source'] as Record<string, unknown>)['snapshot'];

/** The marks of each table in the order in which its rows were published. */
function marks(changes: readonly CapturedChange[]): Record<string, unknown[]> {
  const found = Map.groupBy(
    changes.filter(({ op }) => op === 'r'),
    ({ topic }) => topic.replace('test.public.', ''),
  );
  return Object.fromEntries([...found].map(([table, rows]) => [table, rows.map(markOf)]));
}

/** Over one connection rows are published in the order of tables. */
const one = { snapshotConcurrency: 1 };
const ends = ['first_in_data_collection', 'last_in_data_collection'];

describe('rows of a snapshot', () => {
  test('say where they stand, as those of Debezium do', async () => {
    await using database = await withTables([1, 2, 0, 1, 4, 0]);
    const { changes } = await snapshotTaken(hurried(database, one));
    expect(marks(changes)).toEqual({
      t0: ['first'],
      t1: ends,
      t3: ['last_in_data_collection'],
      t4: ['first_in_data_collection', 'true', 'true', 'last'],
    });
    const keys = changes.map(({ topic, after, key }) => [topic, key, after?.['note']]);
    expect(keys.length).toBe(8);
    expect(keys.every(([, , note]) => note === 'x'.repeat(50))).toBe(true);
  });

  test('say so too if there is one row, or none', async () => {
    for (const [rows, expected] of [
      [[0, 1, 0], { t1: ['last'] }],
      [[0, 0], {}],
    ] as const) {
      await using database = await withTables(rows);
      expect(marks((await snapshotTaken(hurried(database, one))).changes)).toEqual(expected);
    }
  });

  test.each([
    ['with a key', 'PRIMARY KEY'],
    ['without', ''],
  ])(
    'are marked once at each end, however many batches and ranges they come in, %s',
    async (_, key) => {
      const rows = [25, 20, 1, 2000, 10];
      await using database = await withTables(rows, key);
      const some: Partial<PostgresOptions>[] = [
        { snapshotRowsPerRange: 10, batchRowsMax: 1 },
        { snapshotRowsPerRange: 10, batchRowsMax: 10 },
        { snapshotRowsPerRange: 10, batchRowsMax: 7 },
        { snapshotRowsPerRange: 1000, batchRowsMax: 10 },
        { snapshotRowsPerRange: 500, batchBytesMax: 20_000 },
      ];
      for (const options of some) {
        const { changes } = await snapshotTaken(hurried(database, { ...one, ...options }));
        const found = marks(changes);
        rows.forEach((count, at) => {
          const of = found[`t${at}`]!;
          const [first, last] = at === 0 ? ['first', ends[1]] : at === 4 ? [ends[0], 'last'] : ends;
          const middle = Array<string>(Math.max(0, count - 2)).fill('true');
          expect(of, `t${at} ${JSON.stringify(options)}`).toEqual(
            count === 1 ? [ends[1]] : [first, ...middle, last],
          );
        });
      }
    },
  );

  test('in several partitions of a topic are marked once', async () => {
    await using database = await withTables([30, 30]);
    const { changes } = await snapshotTaken(hurried(database, { ...one, partitions: 4 }));
    const all = changes.map((change) => String(markOf(change))).filter((mark) => mark !== 'true');
    expect(all.toSorted()).toEqual(['first', ...ends, 'last'].toSorted());
  });

  test('of partitions without a key are rows of their table', async () => {
    await using database = await server.createDatabase();
    await database.query(`
      CREATE TABLE bare (id int) PARTITION BY RANGE (id);
      CREATE TABLE bare_1 PARTITION OF bare FOR VALUES FROM (0) TO (10);
      CREATE TABLE bare_2 PARTITION OF bare FOR VALUES FROM (10) TO (20);
      ALTER TABLE bare REPLICA IDENTITY FULL;
      ALTER TABLE bare_1 REPLICA IDENTITY FULL; ALTER TABLE bare_2 REPLICA IDENTITY FULL;
      INSERT INTO bare VALUES (1), (2), (11), (12)`);
    const { changes } = await snapshotTaken(hurried(database, { batchRowsMax: 1 }));
    expect(marks(changes)).toEqual({ bare: ['first', 'true', 'true', 'last'] });
  });

  test('that a filter leaves are marked as if there were no others', async () => {
    await using database = await withTables([5, 5, 5]);
    const filters = { 'public.t1': 'id > 3', 'public.t2': 'id > 100' };
    const { changes } = await snapshotTaken(hurried(database, { ...one, filters }));
    const { t0, ...rest } = marks(changes);
    expect(t0?.length).toBe(5);
    expect(rest).toEqual({ t1: [ends[0], 'last'] });
  });

  test('of a snapshot that goes on after a stop have one first and one last', async () => {
    await using database = await withTables([40, 40, 40]);
    const options = hurried(database, { ...one, snapshotRowsPerRange: 10, batchRowsMax: 10 });
    for (const stop of [1, 3, 4, 6, 11]) {
      const capture = new Capture(registry);
      for (const after of [null, 'last'] as const) {
        await using connector = postgresConnector(options);
        await capture.run(connector, {
          after: after === null ? null : capture.last,
          done: ({ position }) =>
            after === null ? capture.positions.length === stop : complete(position),
        });
      }
      expect(capture.changes.length).toBe(120);
      const all = capture.changes.map(markOf).filter((mark) => mark !== 'true');
      expect(all, `stopped after ${stop}`).toEqual(['first', ends[1], ...ends, ends[0], 'last']);
    }
  });

  test('that several connections read are marked in the order in which they are published', async () => {
    const rows = [0, 300, 0, 200, 35, 1, 0];
    await using database = await withTables(rows);
    for (const batchRowsMax of [30, 1000]) {
      const options = { snapshotConcurrency: 3, snapshotRowsPerRange: 20, batchRowsMax };
      const { changes } = await snapshotTaken(hurried(database, options));
      const all = changes.map(markOf);
      expect(all.filter((mark) => mark === 'first').length).toBe(1);
      expect(all.filter((mark) => mark === 'last').length).toBe(1);
      const last = changes.find((change) => markOf(change) === 'last')!;
      // Nothing is in a later batch.
      expect(changes.every(({ position }) => position <= last.position)).toBe(true);
      const found = marks(changes);
      for (const table of ['t1', 't3', 't4']) {
        expect(found[table]!.slice(1, -1).every((mark) => mark === 'true')).toBe(true);
        expect(found[table]![0]).toMatch(/^first/);
        expect(found[table]!.at(-1)).toMatch(/^last/);
      }
      expect(changes.length).toBe(536);
    }
  });
});
