import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { LedgerLoad } from '../support/ledger-load.ts';
import { LedgerWorld } from '../support/ledger-world.ts';
import { whyNoKafka } from '../support/kafka-distribution.ts';
import { startKafka } from '../support/kafka.ts';
import { startPostgres } from '../support/postgres.ts';

const run = promisify(execFile);
const program = join(import.meta.dirname, '../../main.ts');
const reason = whyNoKafka();

interface Planned {
  readonly topics: readonly { readonly topic: string; readonly state: string }[];
}

interface Shown {
  readonly running: boolean;
  readonly stages: readonly { readonly stage: string; readonly behindRecords: number | null }[];
}

test('a pipeline over Kafka is planned, run, looked at and stopped like any other', async ({
  skip,
}) => {
  if (reason !== null) skip(reason);
  await using server = await startPostgres();
  await using kafka = await startKafka();
  await using world = await LedgerWorld.open(server, { kafka: kafka.brokers });
  const millrace = async (verb: string): Promise<unknown> => {
    const { stdout } = await run(process.execPath, [program, verb, '--json'], {
      cwd: world.folder,
    });
    return JSON.parse(stdout);
  };
  const before = (await millrace('plan')) as Planned;
  expect(new Set(before.topics.map(({ state }) => state))).toEqual(new Set(['to be created']));
  await world.start();
  await world.captured();
  await using load = new LedgerLoad({ url: world.database.url, seed: 7 });
  await world.drained();
  const running = (await millrace('status')) as Shown;
  expect(running.running).toBe(true);
  await load.stop();
  const { committed } = await world.verdict();
  expect(committed).toBeGreaterThan(0);
  const after = (await millrace('plan')) as Planned;
  expect(new Set(after.topics.map(({ state }) => state))).toEqual(new Set(['exists']));
  const stopped = (await millrace('status')) as Shown;
  expect(stopped.running).toBe(false);
  expect(stopped.stages.map(({ behindRecords }) => behindRecords ?? 0)).toEqual([0, 0, 0]);
}, 240_000);
