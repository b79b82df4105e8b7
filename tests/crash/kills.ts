import { expect } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { generator } from '../../cli/demo/load-actions.ts';
import { failpoints } from '../../runtime/failpoints.ts';
import { LedgerLoad } from '../support/ledger-load.ts';
import type { LedgerWorld } from '../support/ledger-world.ts';

/** A start, what it has to catch up, and a failpoint that is hard to reach. */
export const SECONDS_PER_KILL_MAX = 20;

/** Kills the pipeline so many times under load, at every failpoint and at random; then what is there is judged. */
export async function surviveKills(
  world: LedgerWorld,
  { kills, seed }: { readonly kills: number; readonly seed: number },
): Promise<void> {
  const random = generator(seed);
  // Kills begin when the source is captured: what was committed before is in the snapshot alone.
  await world.start();
  await world.captured();
  await using load = new LedgerLoad({
    url: world.database.url,
    seed,
    // Of many kills each has a larger state to begin from: the load is lower, so that it does not grow too large.
    transactionsPerSecond: kills > 100 ? 10 : 25,
  });
  const plan = schedule(kills, random);
  await world.process.kill();
  const began = performance.now();
  for (const [kill, { failpoint, afterMs }] of plan.entries()) {
    load.assertRunning();
    if (kill % Math.ceil(kills / 4) === 1) load.addColumn();
    const running = await world.start(failpoint === null ? {} : { failpoint });
    if (failpoint === null) {
      await sleep(afterMs);
      running.send('SIGKILL');
    }
    const ended = await running.exit;
    // Killed, by itself or by us, and nothing else: no error came up while it caught up.
    expect(ended, `kill ${kill}, ${failpoint ?? `after ${afterMs} ms`}\n${running.said}`).toEqual({
      code: null,
      signal: 'SIGKILL',
    });
  }
  const seconds = (performance.now() - began) / 1000;
  await world.start();
  await load.stop();
  process.stdout.write(`${report(plan, seconds)}\n`);
  await world.verdict(60_000 + 300 * kills);
  for (const kind of ['insert', 'update', 'delete', 'key change', 'toast', 'truncate', 'column']) {
    expect([kind, load.committed.get(kind) ?? 0]).not.toEqual([kind, 0]);
  }
}

interface Kill {
  /** Where the process kills itself; null if it is killed after a time. */
  readonly failpoint: string | null;
  readonly afterMs: number;
}

/** Every failpoint in turn, each at its first to twelfth time, and as many moments at random. */
function schedule(count: number, random: () => number): Kill[] {
  return Array.from({ length: count }, (_, kill) => {
    const point = kill % 2 === 0 ? failpoints[(kill / 2) % failpoints.length] : undefined;
    const afterMs = Math.round(200 + random() ** 2 * 2200);
    const nth = 1 + Math.floor(random() ** 2 * 12);
    return { failpoint: point === undefined ? null : `${point}:${nth}`, afterMs };
  });
}

function report(plan: readonly Kill[], seconds: number): string {
  const { length } = plan;
  const points = plan.filter(({ failpoint }) => failpoint !== null).length;
  return (
    `${length} SIGKILLs in ${Math.round(seconds)} s, ${(seconds / length).toFixed(2)} s each: ` +
    `${points} at failpoints, ${length - points} at random moments`
  );
}
