import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Capture } from '../../tests/support/capture.ts';
import { copying, reads, soon, start } from '../../tests/support/copying.ts';
import { hurried, registry, snapshotTaken } from '../../tests/support/postgres-items.ts';
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

const ROWS = 600;

/** In the order of `n` the rows stand the other way round, and as text 1000 comes before 900. */
async function withReversed(): Promise<TestDatabase> {
  const database = await server.createDatabase();
  await database.query(`CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL);
    INSERT INTO items SELECT g + 700, ${ROWS + 1} - g FROM generate_series(1, ${ROWS}) g`);
  return database;
}

const OTHER_KEY = 'ALTER TABLE items DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (n)';
const OTHER_TYPE = 'ALTER TABLE items ALTER id TYPE text';

const rowsOf = (capture: Capture): Set<unknown> =>
  new Set(reads(capture).map(({ after }) => Number(after?.['id'])));

describe.each([OTHER_KEY, OTHER_TYPE])('what is left in ranges of a key, after %s,', (alter) => {
  test('is read whole by a snapshot that goes on', async () => {
    await using database = await withReversed();
    const of = hurried(database, { snapshotRowsPerRange: 50 });
    const capture = new Capture(registry);
    {
      await using connector = postgresConnector({ ...of, batchRowsMax: 50 });
      await capture.run(connector, {
        after: null,
        done: () => reads(capture).length >= 200,
      });
    }
    await database.query(alter);
    await using _ = copying(of, capture);
    await expect.poll(() => capture.last.includes('snapshot'), soon).toBe(false);
    expect(rowsOf(capture).size).toBe(ROWS);
  });

  test('is read whole by a copy that goes on', async () => {
    await using database = await withReversed();
    const of = hurried(database, { snapshotRowsPerRange: 50 });
    const capture = await snapshotTaken(of);
    capture.changes.length = 0;
    let paused = false;
    await using running = copying(of, capture, async () => {
      if (paused || reads(capture).length < 200) return;
      paused = true;
      const request = { action: 'pause', table: 'public.items' } as const;
      void running.connector.copy?.(request, AbortSignal.timeout(20_000));
    });
    await start(running, 'public.items');
    await expect.poll(() => running.state('public.items'), soon).toBe('paused');
    const before = rowsOf(capture).size;
    expect(before).toBeLessThan(ROWS);
    await database.query(alter);
    const request = { action: 'resume', table: 'public.items' } as const;
    await running.connector.copy?.(request, AbortSignal.timeout(20_000));
    await expect.poll(() => running.state('public.items'), soon).toBe('done');
    expect(rowsOf(capture).size).toBe(ROWS);
  });
});
