import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { LedgerLoad } from '../support/ledger-load.ts';
import { LedgerWorld } from '../support/ledger-world.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

// A busy machine takes its time to start servers and programs.
vi.setConfig({ testTimeout: 600_000 });

const program = join(import.meta.dirname, '../support/slow-sink-program.ts');
const MIB = 1024 ** 2;
/** What waits in the end, at least: several times what the pipeline may hold in memory. */
const BACKLOG_BYTES = Number(process.env['BACKLOG_MIB'] ?? 100) * MIB;
/** Above what the process had when the first changes waited: what DuckDB and the allocator take by and by. */
const GROWTH_BYTES_MAX = 160 * MIB;
const WRITE_MS = 4000;

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres({ settings: { deadlock_timeout: '50ms' } });
});
afterAll(() => server[Symbol.asyncDispose]());

/** Resident memory of a process. */
function residentBytes(pid: number): number {
  const [, pages = '0'] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ');
  return Number(pages) * 4096;
}

test.skipIf(process.platform !== 'linux')(
  'a sink that cannot follow costs disk and no memory, and gets everything in the end (needs Linux)',
  async () => {
    await using world = await LedgerWorld.open(server, {
      sinkMore: 'memoryLimit: 128MiB, threads: 1',
    });
    const running = await world.start({ script: [program, String(WRITE_MS)] });
    await world.captured();
    await using load = new LedgerLoad({ url: world.database.url, seed: 7 });
    await using flood = new LedgerLoad({ url: world.database.url, seed: 8, flood: true });
    const state = async (): Promise<{ waiting: number; bytes: number }> => {
      const status = await running.status();
      const topics = status?.tables.flatMap((table) => table.topics) ?? [];
      const sink = status?.stages.find(({ kind }) => kind === 'sink');
      return {
        waiting: sink?.behindRecords ?? 0,
        bytes: topics.reduce((sum, { bytes }) => sum + bytes, 0),
      };
    };
    await expect
      .poll(async () => (await state()).bytes, { timeout: 120_000 })
      .toBeGreaterThan(BACKLOG_BYTES / 6);
    let early = 0;
    for (let sample = 0; sample < 8; sample++) {
      early = Math.max(early, residentBytes(running.pid));
      await sleep(250);
    }
    let peak = early;
    let found = await state();
    while (found.bytes < BACKLOG_BYTES) {
      load.assertRunning();
      flood.assertRunning();
      if (running.hasEnded) throw new Error(running.said);
      peak = Math.max(peak, residentBytes(running.pid));
      await sleep(100);
      found = await state();
    }
    const { waiting, bytes } = found;
    process.stdout.write(
      `${Math.round(bytes / MIB)} MiB on the topics, ${waiting} records behind; resident ${Math.round(early / MIB)} MiB, then at most ${Math.round(peak / MIB)} MiB\n`,
    );
    expect(waiting).toBeGreaterThan(8000);
    expect(peak - early).toBeLessThan(GROWTH_BYTES_MAX);
    // The file holds what the topics say, and a write-ahead log that is bounded.
    const file = statSync(join(world.brokerFolder, 'broker.sqlite')).size;
    expect(file).toBeLessThan(1.25 * (await state()).bytes + 64 * MIB);
    await flood.stop();
    await load.stop();
    running.send('SIGUSR2');
    await world.drained(240_000);
    await world.verdict();
  },
);
