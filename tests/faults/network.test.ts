import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { expect, onTestFinished, test, vi } from 'vitest';
import { generator } from '../../cli/demo/load-actions.ts';
import { LedgerLoad } from '../support/ledger-load.ts';
import { LedgerWorld } from '../support/ledger-world.ts';
import {
  hasPostgres,
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../support/postgres.ts';
import { startProxy, type Proxy } from '../support/proxy.ts';
import { startStandby } from '../support/standby.ts';

// A busy machine takes its time to start servers and programs.
vi.setConfig({ testTimeout: 180_000 });

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const settings = { deadlock_timeout: '50ms' };

const through =
  (proxy: Proxy) =>
  ({ url }: TestDatabase): string => {
    const proxied = new URL(url);
    proxied.port = String(proxy.port);
    proxied.searchParams.set('sslmode', 'disable');
    return proxied.href;
  };

test(`a connection cut, stalled and slowed at random under load loses and doubles nothing (SEED=${seed})`, async () => {
  const random = generator(seed);
  await using server = await startPostgres({ settings });
  await using proxy = await startProxy(server);
  await using world = await LedgerWorld.open(server, { sourceUrl: through(proxy) });
  await world.start();
  await world.captured();
  await using load = new LedgerLoad({ url: world.database.url, seed });
  for (let fault = 0; fault < 12; fault++) {
    load.assertRunning();
    const kind = (['cut', 'stall', 'slow'] as const)[fault % 3];
    if (kind === 'slow') proxy.slow(20_000 + random() * 200_000);
    else if (kind === 'stall') proxy.stall();
    else proxy.cut();
    await sleep(100 + random() * 900);
    proxy.flow();
  }
  await load.stop();
  expect(proxy.accepted).toBeGreaterThan(4);
  await world.verdict();
});

test(`a server that crashes and is restarted under load is found again (SEED=${seed})`, async () => {
  await using server = await startPostgres({ settings });
  await using world = await LedgerWorld.open(server);
  await world.start();
  await world.captured();
  await using load = new LedgerLoad({ url: world.database.url, seed, serverMayFail: true });
  for (const mode of ['immediate', 'fast', 'immediate'] as const) {
    await sleep(1200);
    load.assertRunning();
    await server.stop(mode);
    await server.start();
  }
  await sleep(500);
  await load.stop();
  expect((await world.verdict()).delivered).toBeGreaterThan(0);
});

test.skipIf(!hasPostgres(15))(
  'a fail-over to a standby, which has no slot, stops with SLOT_LOST and never goes on with a gap (needs PostgreSQL 15)',
  async () => {
    await using server = await startPostgres({ version: 15, settings });
    const to = { port: server.port };
    await using proxy = await startProxy(to);
    await using world = await LedgerWorld.open(server, { sourceUrl: through(proxy) });
    await world.start();
    await world.captured();
    await world.drained();
    await using standby = await startStandby(server, { version: 15 });
    await world.drained();
    await server.stop('immediate');
    to.port = standby.port;
    await standby.promote();
    proxy.cut();
    const ended = await world.process.exit;
    expect([ended, world.process.said]).toEqual([
      { code: 1, signal: null },
      expect.stringContaining('error SLOT_LOST'),
    ]);
    expect(world.process.said).toContain('--resnapshot');
    await server.start();
  },
);

test('a fail-over to a standby that keeps the slot in step goes on where it was, nothing lost', async () => {
  await using server = await startPostgres({ settings });
  const to = { port: server.port };
  await using proxy = await startProxy(to);
  // All that is asked of the database goes where the pipeline goes, also in the end.
  const behind: TestPostgres = {
    ...server,
    createDatabase: async () => {
      const database = await server.createDatabase();
      return { ...database, url: through(proxy)(database) };
    },
  };
  await using world = await LedgerWorld.open(behind, { sourceMore: 'slotFailover: true' });
  await world.start();
  await world.captured();
  await world.drained();
  await using standby = await startStandby(server, { version: 18, slots: true });
  await using load = new LedgerLoad({ url: world.database.url, seed, serverMayFail: true });
  const watching = new Client({ connectionString: standby.url });
  watching.on('error', () => {});
  await watching.connect();
  onTestFinished(() => watching.end());
  const inStep = async (): Promise<boolean> => {
    const { rows } = await watching.query(
      'SELECT FROM pg_replication_slots WHERE synced AND NOT temporary AND invalidation_reason IS NULL',
    );
    return rows.length === 1;
  };
  await expect.poll(inStep, { timeout: 60_000, interval: 200 }).toBe(true);
  load.assertRunning();
  await server.stop('immediate');
  to.port = standby.port;
  await standby.promote();
  proxy.cut();
  await sleep(1000);
  await load.stop();
  expect((await world.verdict(120_000)).delivered).toBeGreaterThan(0);
  expect(world.process.said).not.toContain('SLOT_LOST');
  await server.start();
});
