import { test } from 'vitest';
import { LedgerWorld } from '../support/ledger-world.ts';
import { startPostgres } from '../support/postgres.ts';
import { SECONDS_PER_KILL_MAX, surviveKills } from './kills.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const kills = Number(process.env['KILLS'] ?? 20);

// What is expected is said where both brokers are killed.
// oxlint-disable-next-line vitest/expect-expect
test(
  `a pipeline killed ${kills} times under load, at every failpoint and at random, delivers what the ` +
    `ledger says, once and in order (SEED=${seed} KILLS=${kills})`,
  async () => {
    await using server = await startPostgres({ settings: { deadlock_timeout: '50ms' } });
    await using world = await LedgerWorld.open(server);
    await surviveKills(world, { kills, seed });
  },
  (60 + kills * SECONDS_PER_KILL_MAX) * 1000,
);
