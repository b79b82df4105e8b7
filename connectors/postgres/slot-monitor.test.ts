import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Log } from '../../log.ts';
import { silent } from '../../log.ts';
import { Capture } from '../../tests/support/capture.ts';
import {
  failure,
  hurried,
  insert,
  registry,
  snapshotTaken,
  streaming,
  withItems,
} from '../../tests/support/postgres-items.ts';
import {
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../tests/support/postgres.ts';
import { startProxy } from '../../tests/support/proxy.ts';
import type { SourceHealth } from '../connector.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres({ settings: { max_slot_wal_keep_size: '512MB' } });
});
afterAll(() => server[Symbol.asyncDispose]());

const soon = { timeout: 15_000 };

async function walEnd(database: TestDatabase): Promise<unknown> {
  const [row] = await database.query('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  return row?.['lsn'];
}

async function confirmedPast(database: TestDatabase, lsn: unknown): Promise<unknown> {
  const [slot] = await database.query(
    'SELECT confirmed_flush_lsn >= $1::pg_lsn AS past FROM pg_replication_slots WHERE database = current_database()',
    [lsn],
  );
  return slot?.['past'];
}

describe('the heartbeat', () => {
  test('moves the slot on while only a neighbour writes, without any grant to write', async () => {
    await using database = await withItems(server);
    await database.query(`CREATE ROLE reader LOGIN PASSWORD 'x' REPLICATION`);
    await database.query('GRANT SELECT ON items TO reader; CREATE TABLE neighbour (id int)');
    await database.query('CREATE PUBLICATION millrace_hurried FOR TABLE items');
    const of = hurried(database, {
      user: 'reader',
      password: 'x',
      tables: ['public.items'],
      heartbeatIntervalMs: 50,
    });
    const capture = await snapshotTaken(of);
    await using _ = streaming(of, capture);
    for (let round = 0; round < 3; round++) {
      await database.query('INSERT INTO neighbour SELECT generate_series(1, 5000)');
      const end = await walEnd(database);
      await expect.poll(() => confirmedPast(database, end), soon).toBe(true);
    }
    expect(capture.changes.length).toBe(10);
    await database.query('DROP OWNED BY reader; DROP ROLE reader');
  });

  test('writes to the log when it is on, and nothing when it is off', async () => {
    await using quiet = await startPostgres();
    await using database = await withItems(quiet);
    const grown = async (heartbeatIntervalMs: number): Promise<boolean> => {
      const of = hurried(database, { heartbeatIntervalMs, slotLookIntervalMs: 20 });
      let looks = 0;
      const capture = await snapshotTaken(of);
      await using _ = streaming({ ...of, onHealth: () => looks++ }, capture);
      await expect.poll(() => looks, soon).toBeGreaterThan(2);
      const [before, then] = [await walEnd(database), looks];
      await expect.poll(() => looks, soon).toBeGreaterThan(then + 5);
      return (await walEnd(database)) !== before;
    };
    expect(await grown(0)).toBe(false);
    expect(await grown(10)).toBe(true);
  });
});

describe('what the server keeps for the slot', () => {
  test('is told, with what is left until it may be lost', async () => {
    await using database = await withItems(server);
    let health: SourceHealth | null = null;
    const of = hurried(database, {
      slotLookIntervalMs: 20,
      onHealth: (now) => (health = now),
    });
    const capture = await snapshotTaken(of);
    await using _ = streaming(of, capture);
    await expect
      .poll(() => health, soon)
      .toMatchObject({
        retainedBytes: expect.any(Number) as number,
        safeBytes: expect.any(Number) as number,
        state: 'reserved',
        atRisk: false,
      });
  });

  test('is a warning above the threshold, said once', async () => {
    await using database = await withItems(server);
    const warnings: unknown[] = [];
    const log: Log = Object.assign(Object.create(silent) as Log, {
      warn: (about: unknown) => warnings.push(about),
    });
    let looks = 0;
    const of = hurried(database, {
      log,
      slotWarnBytes: 1,
      slotLookIntervalMs: 20,
      onHealth: ({ atRisk }) => (looks += atRisk ? 1 : 0),
    });
    const capture = await snapshotTaken(of);
    await using _ = streaming(of, capture);
    await expect.poll(() => looks, soon).toBeGreaterThan(3);
    expect(warnings).toMatchObject([{ code: 'SLOT_AT_RISK', slot: 'millrace_hurried' }]);
  });

  test('stops the pipeline if that is the policy', async () => {
    await using database = await withItems(server);
    const of = hurried(database, { slotWarnBytes: 1, slotPolicy: 'stop' });
    const { last } = await snapshotTaken(hurried(database));
    expect(await failure(of, last)).toMatchObject({ code: 'SLOT_AT_RISK' });
  });
});

describe('the connection', () => {
  test('is told lost, with the reason, and connected again', async () => {
    await using database = await withItems(server);
    await using proxy = await startProxy(server);
    const url = new URL(database.url);
    url.port = String(proxy.port);
    url.searchParams.set('sslmode', 'disable');
    const told: string[] = [];
    const of = hurried(database, {
      url: url.href,
      onLost: ({ code }) => told.push(code),
      onConnected: () => told.push('connected'),
    });
    const capture = new Capture(registry);
    capture.positions.push((await snapshotTaken(hurried(database))).last);
    await using _ = streaming(of, capture);
    await insert(database, 11, 11);
    await expect.poll(() => capture.changes.length, soon).toBe(1);
    proxy.cut();
    await expect.poll(() => told.at(-1) === 'connected' && told.length > 2, soon).toBe(true);
    expect(told.slice(0, 2)).toEqual(['connected', 'SOURCE_DISCONNECTED']);
    await insert(database, 12, 12);
    await expect.poll(() => capture.changes.length, soon).toBe(2);
  });
});

test('a failover slot is made so, and one that was not becomes one', async () => {
  await using database = await withItems(server);
  const marked = async (): Promise<unknown> =>
    (
      await database.query(
        'SELECT failover FROM pg_replication_slots WHERE database = current_database()',
      )
    )[0];
  const plain = hurried(database);
  const capture = await snapshotTaken(plain);
  expect(await marked()).toEqual({ failover: false });
  {
    await using _ = streaming({ ...plain, slotFailover: true }, capture);
    await expect.poll(marked, soon).toEqual({ failover: true });
    await insert(database, 11, 11);
    await expect.poll(() => capture.changes.length, soon).toBe(11);
  }
  await snapshotTaken({ ...plain, slotFailover: true });
  expect(await marked()).toEqual({ failover: true });
});
