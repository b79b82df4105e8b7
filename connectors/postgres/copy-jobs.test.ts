import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { contents, copying, reads, soon, start } from '../../tests/support/copying.ts';
import { hurried, insert, snapshotTaken, withItems } from '../../tests/support/postgres-items.ts';
import { startPostgres, type TestPostgres } from '../../tests/support/postgres.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

describe('a copy', () => {
  test('that is killed goes on with the ranges left', async () => {
    await using database = await withItems(server, 1_000);
    const of = hurried(database, { snapshotRowsPerRange: 50 });
    const capture = await snapshotTaken(of);
    capture.changes.length = 0;
    for (let life = 0; life < 2; life++) {
      const stop = new AbortController();
      let batches = 0;
      await using running = copying(of, capture, () => {
        if (++batches < 6 || stop.signal.aborted) return Promise.resolve();
        // Published, and then nothing any more: the process is gone.
        return new Promise((resolve) => stop.signal.addEventListener('abort', () => resolve()));
      });
      if (life === 0) await start(running, 'public.items');
      await until(() => batches >= 6);
      stop.abort();
    }
    expect(reads(capture).length).toBeLessThan(1_000);
    await using last = copying(of, capture);
    await expect.poll(() => last.state('public.items'), soon).toBe('done');
    const counts = reads(capture).length;
    expect(counts).toBeGreaterThanOrEqual(1_000);
    expect(counts).toBeLessThanOrEqual(1_100);
    expect(capture.table()).toEqual(await contents(database));
  });

  test('rests when it is paused, over a restart as well, and goes on where it was', async () => {
    await using database = await withItems(server, 1_000);
    const of = hurried(database, { snapshotRowsPerRange: 20 });
    const capture = await snapshotTaken(of);
    capture.changes.length = 0;
    const table = 'public.items';
    {
      await using running = copying(of, capture);
      await start(running, table);
      await expect.poll(() => reads(capture).length, soon).toBeGreaterThan(60);
      await running.connector.copy?.({ action: 'pause', table }, AbortSignal.timeout(5_000));
    }
    const before = reads(capture).length;
    expect(before).toBeLessThan(1_000);
    await using running = copying(of, capture);
    await expect.poll(() => running.state(table), soon).toBe('paused');
    await insert(database, 1_001, 1_001);
    await expect.poll(() => capture.changes.at(-1)?.op, soon).toBe('c');
    expect(reads(capture).length).toBe(before);
    await running.connector.copy?.({ action: 'resume', table }, AbortSignal.timeout(5_000));
    await expect.poll(() => running.state(table), soon).toBe('done');
    expect(reads(capture).length).toBeLessThanOrEqual(1_021);
    expect(capture.table()).toEqual(await contents(database));
  });

  test('that is cancelled is gone, over a restart as well', async () => {
    await using database = await withItems(server, 1_000);
    const of = hurried(database, { snapshotRowsPerRange: 20 });
    const capture = await snapshotTaken(of);
    const table = 'public.items';
    {
      await using running = copying(of, capture);
      await start(running, table);
      await running.connector.copy?.({ action: 'cancel', table }, AbortSignal.timeout(5_000));
      expect(running.state(table)).toBe('cancelled');
    }
    const before = reads(capture).length;
    await using running = copying(of, capture);
    await insert(database, 1_001, 1_001);
    await expect.poll(() => capture.changes.at(-1)?.op, soon).toBe('c');
    expect(reads(capture).length).toBe(before);
    expect(running.copies()).toEqual([]);
  });

  test('whose connection is lost opens it again, and the stream does not notice', async () => {
    await using database = await withItems(server, 1_000);
    const of = hurried(database, { snapshotRowsPerRange: 20 });
    const capture = await snapshotTaken(of);
    capture.changes.length = 0;
    let lost = 0;
    await using running = copying({ ...of, onLost: () => lost++ }, capture);
    await start(running, 'public.items');
    await until(() => reads(capture).length > 100);
    const ended = await database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`,
    );
    expect(ended.length).toBeGreaterThan(0);
    await expect.poll(() => running.state('public.items'), soon).toBe('done');
    expect(lost).toBe(0);
    expect(capture.table()).toEqual(await contents(database));
  });

  test('whose table is dropped fails by itself, and can be cancelled', async () => {
    await using database = await withItems(server, 1_000);
    const of = hurried(database, { snapshotRowsPerRange: 20 });
    const capture = await snapshotTaken(of);
    const table = 'public.items';
    await using running = copying(of, capture);
    await start(running, table);
    await database.query('DROP TABLE items');
    await expect.poll(() => running.state(table), soon).toBe('failed');
    await running.connector.copy?.({ action: 'cancel', table }, AbortSignal.timeout(5_000));
    expect(running.state(table)).toBe('cancelled');
  });

  test.each([
    [{ action: 'start', table: 'public.nothing' }, /not captured/],
    [{ action: 'start', table: 'public.keyless', where: 'id > 1' }, /no primary key/],
    [{ action: 'start', table: 'public.items', where: 'nonsense = 1' }, /refuses the condition/],
    [{ action: 'start', table: 'public.items', where: 'true); DROP TABLE items; --' }, /refuses/],
    [{ action: 'pause', table: 'public.items' }, /not being copied/],
  ] as const)('is refused: %o', async (request, reason) => {
    await using database = await withItems(server, 2);
    await database.query(
      'CREATE TABLE keyless (id int); ALTER TABLE keyless REPLICA IDENTITY FULL',
    );
    const of = hurried(database);
    const capture = await snapshotTaken(of);
    await using running = copying(of, capture);
    await insert(database, 3, 3);
    await expect.poll(() => capture.changes.length, soon).toBe(3);
    const refusal = await running.connector
      .copy?.(request, AbortSignal.timeout(5_000))
      .catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'SNAPSHOT_REFUSED' });
    expect(String(refusal)).toMatch(reason);
    expect(await database.query('SELECT count(*)::int AS n FROM items')).toEqual([{ n: 3 }]);
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
