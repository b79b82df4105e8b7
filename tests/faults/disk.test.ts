import { afterAll, beforeAll, expect, test } from 'vitest';
import { LedgerLoad } from '../support/ledger-load.ts';
import { LedgerWorld } from '../support/ledger-world.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { mountSmallDisk } from '../support/small-disk.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres({ settings: { deadlock_timeout: '50ms' } });
});
afterAll(() => server[Symbol.asyncDispose]());

const probe = mountSmallDisk(1);
probe?.[Symbol.dispose]();

test.skipIf(probe === null).each([
  { of: 'broker', code: /error (BROKER_FULL|STATE_UNUSABLE)/ },
  { of: 'sink', code: /error SINK_FULL/ },
])(
  'a full disk of the $of stops a running pipeline with a code, and loses nothing (needs root)',
  async ({ of, code }) => {
    using disk = mountSmallDisk(of === 'broker' ? 12 : 8);
    if (disk === null) throw new Error('cannot mount');
    await using world = await LedgerWorld.open(
      server,
      of === 'broker' ? { brokerIn: disk.folder } : { sinkIn: disk.folder },
    );
    await world.start();
    await world.captured();
    await using load = new LedgerLoad({ url: world.database.url, seed: 1 });
    // What fills it soon: long values that do not compress.
    await world.database.query(
      `INSERT INTO accounts (id, amount, body)
       SELECT nextval('ledger.ids'), 0, ledger.body(true) FROM generate_series(1, 12000) g`,
    );
    expect(await world.process.exit).toEqual({ code: 3, signal: null });
    expect(world.process.said).toMatch(code);
    disk.resize(1024);
    await world.start();
    await load.stop();
    await world.verdict();
  },
  120_000,
);
