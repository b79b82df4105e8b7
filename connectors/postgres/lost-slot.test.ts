import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Position } from '../connector.ts';
import { failure, hurried, insert, readerOf } from '../../tests/support/postgres-items.ts';
import { snapshotTaken, withItems } from '../../tests/support/postgres-items.ts';
import { startPostgres, type TestPostgres } from '../../tests/support/postgres.ts';
import { postgresConnector } from './connector.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

describe('a slot or publication that is gone', () => {
  test('a dropped slot stops with SLOT_LOST, and a new snapshot mends it', async () => {
    await using database = await withItems(server);
    const of = hurried(database);
    const { last } = await snapshotTaken(of);
    await database.query(`SELECT pg_drop_replication_slot('millrace_hurried')`);
    expect(await failure(of, last)).toMatchObject({ code: 'SLOT_LOST' });
    expect((await snapshotTaken(of)).changes.length).toBe(10);
  });

  test('a slot that somebody else moved past our position is lost', async () => {
    await using database = await withItems(server);
    const of = hurried(database);
    const { last } = await snapshotTaken(of);
    await insert(database, 11, 20);
    await database.query(
      `SELECT pg_replication_slot_advance('millrace_hurried', pg_current_wal_lsn())`,
    );
    expect(await failure(of, last)).toMatchObject({ code: 'SLOT_LOST' });
  });

  test('an invalidated slot stops with SLOT_LOST, is told by plan, and a new snapshot mends it', async () => {
    await using own = await startPostgres({
      settings: { max_slot_wal_keep_size: '1MB', wal_sender_timeout: '1s' },
    });
    await using database = await own.createDatabase();
    await database.query('CREATE TABLE items (id int PRIMARY KEY, name text)');
    const of = hurried(database);
    const { last } = await snapshotTaken(of);
    for (let i = 0; i < 4; i++) {
      await insert(database, i * 10 + 1, i * 10 + 10);
      await database.query('SELECT pg_switch_wal()');
    }
    await database.query('CHECKPOINT');
    expect(await failure(of, last)).toMatchObject({ code: 'SLOT_LOST' });
    await using connector = postgresConnector(of);
    const [planned] = await connector.plan(AbortSignal.timeout(10_000));
    expect(planned?.notes.join()).toContain('new snapshot');
    expect((await snapshotTaken(of)).changes.length).toBe(40);
  });

  test('a dropped publication stops with PUBLICATION_LOST, at start and in the stream', async () => {
    await using database = await withItems(server);
    const of = hurried(database);
    const { last } = await snapshotTaken(of);
    const stopped = failure(of, last);
    await expect.poll(() => readerOf(database)).not.toBeNull();
    await database.query('DROP PUBLICATION millrace_hurried');
    await insert(database, 11, 12);
    expect(await stopped).toMatchObject({ code: 'PUBLICATION_LOST' });
    expect(await failure(of, last)).toMatchObject({ code: 'PUBLICATION_LOST' });
  });

  test('a position of another kind of source is refused', async () => {
    await using database = await withItems(server);
    expect(await failure(hurried(database), 'mysql-bin.000003/4' as Position)).toMatchObject({
      code: 'POSITION_INVALID',
    });
  });
});
