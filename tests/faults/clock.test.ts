import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { LedgerLoad } from '../support/ledger-load.ts';
import { LedgerWorld } from '../support/ledger-world.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

// A busy machine takes its time to start servers and programs.
vi.setConfig({ testTimeout: 180_000 });

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres({ settings: { deadlock_timeout: '50ms' } });
});
afterAll(() => server[Symbol.asyncDispose]());

/** Hours by which the wall clock of the process is off, one after another, at each SIGUSR2. */
const HOURS = [5, -4, 30 * 24, 0, -30 * 24];

/** Makes every wall clock of a process one that is set; time that passes is not touched. */
const preload = `
const { Date: Real } = globalThis;
const hours = ${JSON.stringify(HOURS)};
let off = 0;
process.on('SIGUSR2', () => {
  off = hours.shift() * 3600_000;
  process.stderr.write('the clock is set\\n');
});
globalThis.Date = class extends Real {
  constructor(...given) {
    super(...(given.length === 0 ? [Real.now() + off] : given));
  }
  static now() {
    return Real.now() + off;
  }
};
`;

test('a wall clock that jumps by hours and weeks, forward and back, under load changes nothing but what it says', async () => {
  await using world = await LedgerWorld.open(server);
  const clock = join(world.folder, 'clock.mjs');
  writeFileSync(clock, preload);
  const program = join(import.meta.dirname, '../../main.ts');
  const started = await world.start({ script: ['--import', clock, program, 'run'] });
  await world.captured();
  await using load = new LedgerLoad({ url: world.database.url, seed: 5 });
  for (const [set, hours] of HOURS.entries()) {
    started.send('SIGUSR2');
    await expect.poll(() => started.said.split('the clock is set').length - 1).toBe(set + 1);
    // Long enough for what is measured in seconds to go wrong.
    await sleep(1500);
    load.assertRunning();
    await world.drained();
    const status = await started.status();
    const lag = status?.lag[0];
    for (const hop of [lag?.read, lag?.raw, lag?.changes, lag?.applied, lag?.total]) {
      expect(hop).toBeGreaterThanOrEqual(0);
    }
    // Where two clocks meet the difference shows, and nowhere else.
    for (const hop of [lag?.raw, lag?.changes, lag?.applied]) expect(hop).toBeLessThan(60);
    expect(lag?.read).toBeGreaterThanOrEqual(Math.max(0, hours * 3600 - 60));
    for (const { changesPerSecond } of status?.stages ?? []) {
      expect(changesPerSecond).toBeGreaterThan(0);
      expect(changesPerSecond).toBeLessThan(100_000);
    }
    const { url } = (await world.process.remote()) ?? { url: '' };
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  }
  await load.stop();
  // Also while the clock is behind for weeks, a flow that has ended is seen to end.
  const flowing = async (): Promise<boolean | undefined> =>
    (await started.status())?.stages.some(({ changesPerSecond }) => changesPerSecond > 0);
  await expect.poll(flowing, { timeout: 30_000 }).toBe(false);
  expect((await world.verdict()).delivered).toBeGreaterThan(0);
});
