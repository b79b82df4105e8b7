import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { nobody } from '../../cli/demo/audience.ts';
import { generator } from '../../cli/demo/load-actions.ts';
import { play } from '../../cli/demo/play.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const kills = Number(process.env['KILLS'] ?? 10);
/** On average, so that some kills find the pipeline at work and others hardly started. */
const SECONDS_PER_KILL = 3;

const seconds = 2 + kills * SECONDS_PER_KILL;
const random = generator(seed);
const moments = Array.from({ length: kills }, () => 200 + random() * (seconds * 1000 - 400)).sort(
  (a, b) => a - b,
);

test(
  `a pipeline killed ${kills} times at random under load ends with equal tables (SEED=${seed} KILLS=${kills})`,
  async ({ signal }) => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-kill-'));
    try {
      const result = await play({
        folder,
        seconds,
        seed,
        changesPerSecond: 1500,
        size: { customers: 1000, products: 500, orders: 5000, views: 5000 },
        killsAtMs: moments,
        columnsAtMs: [seconds * 250, seconds * 650],
        keep: false,
        audience: nobody,
        signal,
      });
      expect(result.tables.filter(({ equal }) => !equal)).toEqual([]);
      expect(result).toMatchObject({ drained: true, equal: true, kills });
      // It proves nothing if nothing happened.
      const { inserts, updates, deletes, keyChanges, columnsAdded } = result.load;
      expect(Math.min(inserts, updates, deletes, keyChanges)).toBeGreaterThan(0);
      expect(columnsAdded).toBe(2);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  (seconds + 60) * 1000,
);
