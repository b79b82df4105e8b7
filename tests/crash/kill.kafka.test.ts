import { test } from 'vitest';
import { startKafka } from '../support/kafka.ts';
import { whyNoKafka } from '../support/kafka-distribution.ts';
import { LedgerWorld } from '../support/ledger-world.ts';
import { startPostgres } from '../support/postgres.ts';
import { SECONDS_PER_KILL_MAX, surviveKills } from './kills.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const kills = Number(process.env['KILLS'] ?? 8);
const reason = whyNoKafka();

// What is expected is said where both brokers are killed.
// oxlint-disable-next-line vitest/expect-expect
test(
  `a pipeline over Kafka killed ${kills} times under load, at every failpoint and at random, delivers what ` +
    `the ledger says, once and in order (SEED=${seed} KILLS=${kills})`,
  async ({ skip }) => {
    if (reason !== null) skip(reason);
    await using server = await startPostgres({ settings: { deadlock_timeout: '50ms' } });
    await using kafka = await startKafka();
    await using world = await LedgerWorld.open(server, { kafka: kafka.brokers });
    await surviveKills(world, { kills, seed });
  },
  (120 + kills * SECONDS_PER_KILL_MAX) * 1000,
);
