import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { topicName } from '../../broker/broker.ts';
import { openEmbedded } from '../../broker/embedded/embedded.ts';
import { pack } from '../../broker/records.ts';
import { silent } from '../../log.ts';
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

describe('a signal', () => {
  test('SIGTERM under load ends with 0 soon, whenever it comes, and nothing is lost', async () => {
    await using world = await LedgerWorld.open(server);
    await world.start();
    await world.captured();
    await using load = new LedgerLoad({ url: world.database.url, seed: 2 });
    for (const afterMs of [0, 700, 1500]) {
      await sleep(afterMs);
      const asked = performance.now();
      world.process.send('SIGTERM');
      expect([world.process.said, await world.process.exit]).toEqual([
        expect.stringContaining('ledger'),
        { code: 0, signal: null },
      ]);
      expect(performance.now() - asked).toBeLessThan(15_000);
      await world.start();
      await world.captured();
    }
    await load.stop();
    await world.verdict();
  });

  test('a second one ends it at once, and nothing is lost by that either', async () => {
    await using world = await LedgerWorld.open(server);
    await world.start();
    await world.captured();
    await using load = new LedgerLoad({ url: world.database.url, seed: 3 });
    for (let round = 0; round < 3; round++) {
      world.process.send('SIGTERM');
      world.process.send('SIGINT');
      const { signal } = await world.process.exit;
      // Of two signals that arrive together the system says which is the second.
      expect(['SIGINT', 'SIGTERM']).toContain(signal);
      await world.start();
      await world.captured();
    }
    await load.stop();
    await world.verdict();
  });
});

test('a DuckDB file that another process holds stops the start with its code; then it goes on', async () => {
  await using world = await LedgerWorld.open(server);
  const script = `
    const { DuckDBInstance } = require('@duckdb/node-api');
    DuckDBInstance.create(process.argv[1]).then(() => console.log('locked'));
    setInterval(() => {}, 1000);`;
  const holder = spawn(process.execPath, ['-e', script, world.sinkFile], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(holder.stdout, 'data');
    const locked = await world.start();
    expect([await locked.exit, locked.said]).toEqual([
      { code: 3, signal: null },
      expect.stringContaining('error SINK_IN_USE'),
    ]);
  } finally {
    holder.kill('SIGKILL');
    await once(holder, 'close');
  }
  await world.start();
  await world.captured();
  await world.verdict();
});

describe('a record that nobody can read', () => {
  test('on a raw topic stops the pipeline at it, with its place and what to do; nothing passes it', async () => {
    await using world = await LedgerWorld.open(server);
    await stopped(world);
    const place = await poison(world, { topic: 'ledger.public.accounts', partition: 1 });
    for (const _ of [1, 2]) {
      const started = await world.start();
      expect(await started.exit).toEqual({ code: 1, signal: null });
      expect(started.said).toContain('error RECORD_MALFORMED');
      expect(started.said).toContain(`at        ${place}`);
      expect(started.said).toContain('to do     Nothing is lost, and nothing passes it.');
    }
    // The rest is as it was: what was applied stays, and the record is still there to be looked at.
    await world.judge();
  });

  test('on the way to a sink parks its table at it, with its place and what to do; the others go on', async () => {
    await using world = await LedgerWorld.open(server);
    await stopped(world);
    const place = await poison(world, { topic: 'ledger.public.parts.changes', partition: 2 });
    for (const run of [1, 2]) {
      await world.start();
      await expect
        .poll(async () => (await world.process.status())?.parked, { timeout: 60_000 })
        .toMatchObject([
          {
            table: 'public.parts',
            code: 'RECORD_MALFORMED',
            place,
            remedy: expect.stringContaining('Nothing is lost, and nothing passes it.'),
            waitingRecords: 1,
          },
        ]);
      await world.database.query(`INSERT INTO moves SELECT 'poison', ${run}, 0, ledger.body(true)`);
      await world.applied(`SELECT 1 FROM public.moves WHERE area = 'poison' AND slot = ${run}`);
      world.process.send('SIGTERM');
      expect(await world.process.exit).toEqual({ code: 0, signal: null });
    }
  });
});

/** Runs a world until all is in its sink. */
async function stopped(world: LedgerWorld): Promise<void> {
  await world.start();
  await world.captured();
  await world.drained();
  world.process.send('SIGTERM');
  await world.process.exit;
}

/** Puts a record that is none into a topic of a pipeline that does not run; its place. */
async function poison(
  world: LedgerWorld,
  { topic: name, partition }: { readonly topic: string; readonly partition: number },
): Promise<string> {
  await using opened = await openEmbedded({ path: world.brokerFolder }, silent);
  const topic = topicName(name);
  const { topics } = await opened.broker.describe();
  const end = topics.find((one) => one.topic === topic)?.offsets[partition]?.end;
  const record = { key: Buffer.from('poison'), value: Buffer.from('poison'), timestamp: 0 };
  await opened.broker.publish([{ topic, partition, records: pack([record]) }]);
  return `${topic}, partition ${partition}, offset ${end}`;
}
