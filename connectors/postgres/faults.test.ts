import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from 'pg';
import { Capture, essence } from '../../tests/support/capture.ts';
import {
  complete,
  hurried,
  insert,
  readerOf,
  registry,
} from '../../tests/support/postgres-items.ts';
import { snapshotTaken, streaming, withItems } from '../../tests/support/postgres-items.ts';
import {
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../tests/support/postgres.ts';
import { startProxy, type Proxy } from '../../tests/support/proxy.ts';
import { postgresConnector } from './connector.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres({ settings: { wal_sender_timeout: '1s' } });
});
afterAll(() => server[Symbol.asyncDispose]());

function through(database: TestDatabase, proxy: Proxy): string {
  const url = new URL(database.url);
  url.port = String(proxy.port);
  url.searchParams.set('sslmode', 'disable');
  return url.href;
}

describe('a connection that fails', () => {
  test('a stream that is cut again and again delivers each change once', async () => {
    await using database = await withItems(server);
    await using proxy = await startProxy(server);
    const of = hurried(database, { url: through(database, proxy), batchRowsMax: 1000 });
    const capture = await snapshotTaken(of);
    await insert(database, 11, 15_000);
    await insert(database, 15_001, 30_000);
    await using connector = postgresConnector(of);
    let batches = 0;
    let cuts = 0;
    await capture.run(connector, {
      after: capture.last,
      done: () => {
        if (++batches % 4 === 0 && cuts < 6) {
          cuts++;
          proxy.cut();
        }
        return capture.changes.length >= 30_000;
      },
    });
    expect(cuts).toBe(6);
    expect(new Set(capture.changes.map(essence)).size).toBe(30_000);
    expect(capture.changes.length).toBe(30_000);
  });

  test('a snapshot that is cut goes on under a new one', async () => {
    await using database = await withItems(server, 20_000);
    await database.query(`UPDATE items SET name = repeat(name, 40)`);
    await using proxy = await startProxy(server);
    const of = hurried(database, {
      url: through(database, proxy),
      batchRowsMax: 500,
      snapshotRowsPerRange: 2000,
    });
    await using connector = postgresConnector(of);
    const capture = new Capture(registry);
    let batches = 0;
    let cuts = 0;
    await capture.run(connector, {
      after: null,
      published: async () => {
        if (++batches % 9 !== 0 || complete(capture.last) || ++cuts > 3) return;
        await database.query('UPDATE items SET name = name || $1 WHERE id % 100 = $2', [
          '!',
          batches,
        ]);
        proxy.cut();
      },
      done: ({ position }) =>
        complete(position) && capture.changes.filter(({ op }) => op === 'u').length >= 600,
    });
    expect(cuts).toBeGreaterThan(3);
    const rows = await database.query('SELECT id, name FROM items');
    const contents = rows.map(
      (row) => [JSON.stringify({ id: row['id'] }), JSON.stringify(row)] as const,
    );
    expect(capture.table()).toEqual(new Map(contents));
  });

  test('a server that restarts, or crashes, is found again', async () => {
    await using own = await startPostgres();
    await using database = await own.createDatabase();
    await database.query('CREATE TABLE items (id int PRIMARY KEY, name text)');
    await insert(database, 1, 10);
    const of = hurried(database);
    const capture = await snapshotTaken(of);
    await using _ = streaming(of, capture);
    for (const mode of ['fast', 'immediate'] as const) {
      const before = capture.changes.length;
      const write = async (): Promise<void> => {
        const client = new Client({ connectionString: database.url });
        await client.connect();
        await client.query(`INSERT INTO items SELECT coalesce(max(id), 0) + 1, $1 FROM items`, [
          mode,
        ]);
        await client.end();
      };
      await write();
      await expect.poll(() => capture.changes.length).toBe(before + 1);
      await own.stop(mode);
      await own.start();
      await write();
      await expect.poll(() => capture.changes.length, { timeout: 10_000 }).toBe(before + 2);
    }
    expect(new Set(capture.changes.map(essence)).size).toBe(14);
    expect(capture.changes.length).toBe(14);
  });

  test('a network that swallows everything is noticed', async () => {
    await using database = await withItems(server);
    await using proxy = await startProxy(server);
    const of = hurried(database, {
      url: through(database, proxy),
      silenceMsMax: 300,
      connectTimeoutMs: 200,
    });
    const capture = await snapshotTaken(of);
    await using _ = streaming(of, capture);
    await insert(database, 11, 11);
    await expect.poll(() => capture.changes.length).toBe(11);
    const { accepted } = proxy;
    proxy.stall();
    await insert(database, 12, 12);
    await expect.poll(() => proxy.accepted, { timeout: 5_000 }).toBeGreaterThan(accepted);
    proxy.flow();
    await expect.poll(() => capture.changes.length, { timeout: 10_000 }).toBe(12);
  });
});

describe('a consumer that is slow', () => {
  test('keeps its connection, and memory stays within the bounds', async () => {
    await using database = await withItems(server);
    const of = hurried(database, { batchBytesMax: 1024 * 1024 });
    const capture = await snapshotTaken(of);
    await database.query(
      `INSERT INTO items SELECT g, repeat('x', 4000) FROM generate_series(11, 60000) g`,
    );
    await using connector = postgresConnector(of);
    let rows = 0;
    let peak = 0;
    let held = false;
    const readers: unknown[] = [];
    const before = process.memoryUsage().arrayBuffers;
    for await (const batch of connector.changes(capture.last, AbortSignal.timeout(40_000))) {
      rows += batch.changes;
      peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
      if (!held && rows > 5_000) {
        held = true;
        readers.push(await readerOf(database));
        // Longer than the server waits for a sign of life.
        await new Promise((resolve) => setTimeout(resolve, 2_500));
        readers.push(await readerOf(database));
      }
      await connector.ack(batch.position);
      if (rows >= 59_990) break;
    }
    expect(rows).toBe(59_990);
    expect(readers[0]).toBe(readers[1]);
    // 240 MB went through; what is not collected yet counts too.
    expect(peak).toBeLessThan(96 * 1024 * 1024);
  });
});

describe('a quiet source', () => {
  test('a lone change goes straight through', async () => {
    await using database = await withItems(server);
    const of = hurried(database);
    const capture = await snapshotTaken(of);
    await using _ = streaming(of, capture);
    const latencies: number[] = [];
    for (let id = 11; id < 61; id++) {
      const sent = performance.now();
      await insert(database, id, id);
      while (capture.changes.length < id) await new Promise((resolve) => setImmediate(resolve));
      latencies.push(performance.now() - sent);
    }
    expect(latencies.sort((a, b) => a - b)[25]).toBeLessThan(30);
  });

  test('lets the slot move on while only others write', async () => {
    await using database = await withItems(server);
    const of = hurried(database, { tables: ['public.items'] });
    const capture = await snapshotTaken(of);
    await using _ = streaming(of, capture);
    await database.query('CREATE TABLE others (id int)');
    await database.query('INSERT INTO others SELECT generate_series(1, 10000)');
    const [end] = await database.query('SELECT pg_current_wal_lsn()::text AS lsn');
    const passed = async (): Promise<unknown> => {
      const [slot] = await database.query(
        'SELECT confirmed_flush_lsn >= $1::pg_lsn AS passed FROM pg_replication_slots WHERE database = current_database()',
        [end?.['lsn']],
      );
      return slot?.['passed'];
    };
    await expect.poll(passed, { timeout: 10_000 }).toBe(true);
    expect(capture.changes.length).toBe(10);
    await insert(database, 11, 12);
    await expect.poll(() => capture.changes.length).toBe(12);
  });
});
