import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Capture, json } from '../../tests/support/capture.ts';
import { copying, soon } from '../../tests/support/copying.ts';
import { hurried, registry, withItems } from '../../tests/support/postgres-items.ts';
import { startPostgres, type TestPostgres } from '../../tests/support/postgres.ts';
import { postgresConnector } from './connector.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

test.each([
  ['our next start', 'SELECT'],
  ['somebody else', 'ALTER PUBLICATION millrace_hurried ADD TABLE log, keyed'],
])(
  'tables that are published by %s while a snapshot is interrupted are whole, with or without a key',
  async (_by, adding) => {
    await using database = await withItems(server, 2_000);
    const of = hurried(database, { tables: ['public.items'], snapshotRowsPerRange: 300 });
    const capture = new Capture(registry);
    {
      await using connector = postgresConnector({ ...of, batchRowsMax: 300 });
      await capture.run(connector, {
        after: null,
        done: ({ position }) => position.includes('"open":[{'),
      });
    }
    await database.query(`
    CREATE TABLE log (n int, line text); ALTER TABLE log REPLICA IDENTITY FULL;
    INSERT INTO log SELECT g, 'line ' || g FROM generate_series(1, 500) g;
    CREATE TABLE keyed (id int PRIMARY KEY); INSERT INTO keyed VALUES (1), (2), (3)`);
    const client = new Client({ connectionString: database.url });
    await client.connect();
    // It writes before the publication has the tables, and commits when the snapshot has been read.
    await client.query(`BEGIN; INSERT INTO log VALUES (501, 'late'); INSERT INTO keyed VALUES (4)`);
    await database.query(adding);
    const newTables = ['public.log', 'public.keyed'];
    {
      await using _ = copying({ ...of, tables: ['public.*'], newTables }, capture);
      await expect.poll(() => capture.last.includes('snapshot'), soon).toBe(false);
      await client.query('COMMIT');
      await client.end();
      await database.query(`INSERT INTO log VALUES (502, 'last'); INSERT INTO keyed VALUES (5)`);
      const rows = (topic: string): string[] => {
        const found = capture.changes.filter((each) => each.topic === `test.public.${topic}`);
        const from = found.findLastIndex(({ op }) => op === 't') + 1;
        return found
          .slice(from)
          .map(({ after }) => json(after))
          .sort();
      };
      for (const table of ['keyed', 'log']) {
        const there = (await database.query(`SELECT * FROM ${table}`))
          .map((row) => json(row))
          .sort();
        // With a key a row may come twice, once from the copy.
        const told = (): string[] => (table === 'log' ? rows(table) : [...new Set(rows(table))]);
        await expect.poll(told, soon).toEqual(there);
      }
    }
    expect(capture.positions).toEqual(capture.positions.toSorted());
  },
);
