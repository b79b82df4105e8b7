import { describe, expect, test } from 'vitest';
import type { Connector, Position } from '../../connectors/connector.ts';
import { Capture, essence, type CapturedChange } from '../support/capture.ts';
import type { MemoryRegistry } from '../support/recorded-stream.ts';

/** A real source with one empty table of items, `id` integer key and `name` text. */
export interface ConnectorWorld extends AsyncDisposable {
  readonly registry: MemoryRegistry;
  /** The table as the connector names it. */
  readonly table: string;
  /** A connector on the source; the bounds are small where a test wants many batches. */
  open(bounds?: { readonly batchRowsMax?: number; readonly rowsPerRange?: number }): Connector;
  /** One transaction: items with these names, gone where null. */
  write(items: readonly (readonly [id: number, name: string | null])[]): Promise<void>;
  contents(): Promise<Map<string, string>>;
  /** How far the source believes that we are: text that changes when it is told more. */
  acknowledged(): Promise<string>;
}

type Item = readonly [number, string | null];
const items = (from: number, to: number, name = 'first'): Item[] =>
  Array.from({ length: to - from + 1 }, (_, at) => [from + at, `${name} ${from + at}`]);
const complete = (position: Position): boolean => !position.includes('snapshot');

/** What every connector promises, see `connectors/connector.ts`. */
export function connectorConformance(name: string, factory: () => Promise<ConnectorWorld>): void {
  describe(`${name} as a connector`, () => {
    test('plans its tables with their keys', async () => {
      await using world = await factory();
      await using connector = world.open();
      const planned = await connector.plan(AbortSignal.timeout(10_000));
      const found = planned.find(({ table }) => table === world.table);
      expect(found?.shape.key).toEqual(['id']);
      expect(found?.shape.columns.map(({ name }) => name)).toEqual(['id', 'name']);
    });

    test('joins snapshot and stream without a gap while the source is written to', async () => {
      await using world = await factory();
      await world.write(items(1, 2000));
      await using connector = world.open({ batchRowsMax: 300, rowsPerRange: 250 });
      const capture = new Capture(world.registry);
      let rounds = 0;
      const stop = new AbortController();
      const writing = (async () => {
        for (; !stop.signal.aborted; rounds++) {
          const at = (rounds * 37) % 2000;
          await world.write([
            [at + 1, null],
            [2001 + rounds, `new ${rounds}`],
            [((at + 900) % 2000) + 1, `changed ${rounds}`],
          ]);
        }
        await world.write([[1_000_000, 'the end']]);
      })();
      await capture.run(connector, {
        after: null,
        done: ({ position }) => {
          if (complete(position) && capture.positions.length > 20) stop.abort();
          return capture.changes.some(({ key }) => key?.includes('1000000') === true);
        },
      });
      await writing;
      expect(rounds).toBeGreaterThan(3);
      expect(capture.table()).toEqual(await world.contents());
    });

    test('delivers positions and the versions of a key in ascending order', async () => {
      await using world = await factory();
      await world.write(items(1, 500));
      await using connector = world.open({ batchRowsMax: 50, rowsPerRange: 100 });
      const capture = new Capture(world.registry);
      await capture.run(connector, { after: null, done: ({ position }) => complete(position) });
      for (let round = 0; round < 10; round++) await world.write(items(1, 20, `round ${round}`));
      await capture.run(connector, {
        after: capture.last,
        done: () => capture.changes.length >= 700,
      });
      expect(capture.positions).toEqual([...capture.positions].sort());
      const newest = new Map<string | null, bigint>();
      for (const { key, version } of capture.changes) {
        expect(version).toBeGreaterThan(newest.get(key) ?? -1n);
        newest.set(key, version);
      }
    });

    test('tells the source nothing before ack', async () => {
      await using world = await factory();
      await world.write(items(1, 10));
      await using connector = world.open();
      const capture = new Capture(world.registry);
      await capture.run(connector, { after: null, done: ({ position }) => complete(position) });
      const before = await world.acknowledged();
      await world.write(items(11, 20));
      await world.write(items(21, 30));
      await capture.run(connector, {
        after: capture.last,
        ack: false,
        done: () => capture.changes.length >= 30,
      });
      expect(await world.acknowledged()).toBe(before);

      const stop = new AbortController();
      const running = capture.run(connector, {
        after: capture.last,
        signal: stop.signal,
        done: () => false,
      });
      await connector.ack(capture.last);
      await expect.poll(() => world.acknowledged(), { timeout: 20_000 }).not.toBe(before);
      stop.abort();
      await running;
    });

    test('goes on after every position with exactly the rest', async () => {
      await using world = await factory();
      await world.write(items(1, 400));
      const whole = new Capture(world.registry);
      {
        await using connector = world.open({ batchRowsMax: 100, rowsPerRange: 100 });
        await whole.run(connector, {
          after: null,
          ack: false,
          done: ({ position }) => complete(position),
        });
      }
      const streamedFrom = whole.positions.length - 1;
      await world.write(items(401, 420));
      await world.write(items(1, 6000, 'large'));
      await world.write([[7, null]]);
      await world.write(items(421, 430));
      const rest = 20 + 6000 + 1 + 10;
      {
        await using connector = world.open({ batchRowsMax: 100 });
        await whole.run(connector, {
          after: whole.last,
          ack: false,
          done: () => whole.changes.length >= 400 + rest,
        });
      }
      const positions = [...new Set(whole.positions)];
      const spread = Math.ceil(positions.length / 12);
      for (const [at, after] of positions.entries()) {
        if (at % spread !== 0 || after === whole.last) continue;
        await using connector = world.open({ batchRowsMax: 1000 });
        const again = new Capture(world.registry);
        again.changes.push(...whole.changes.filter(({ position }) => position <= after));
        await again.run(connector, {
          after,
          ack: false,
          done: () => again.changes.filter(({ op }) => op !== 'r').length >= rest,
        });
        // Ranges of a snapshot may come again; what follows it may not.
        const snapshot = whole.positions.indexOf(after) < streamedFrom;
        const compared = ({ op }: CapturedChange): boolean => !snapshot || op !== 'r';
        expect(again.changes.filter(compared).map(essence)).toEqual(
          whole.changes.filter(compared).map(essence),
        );
        expect(again.table()).toEqual(await world.contents());
      }
    });

    test('delivers a large transaction in parts, and each change once after a stop in between', async () => {
      await using world = await factory();
      await world.write(items(1, 1));
      const capture = new Capture(world.registry);
      {
        await using connector = world.open();
        await capture.run(connector, { after: null, done: ({ position }) => complete(position) });
      }
      await world.write(items(1, 20_000, 'large'));
      let parts = 0;
      while (capture.changes.length < 20_001) {
        await using connector = world.open({ batchRowsMax: 500 });
        let batches = 0;
        await capture.run(connector, {
          after: capture.last,
          done: () => capture.changes.length >= 20_001 || (++batches === 3 && parts < 12),
        });
        parts += batches;
      }
      expect(parts).toBeGreaterThan(3);
      expect(capture.changes.length).toBe(20_001);
      expect(new Set(capture.changes.map(essence)).size).toBe(20_001);
      expect(capture.table()).toEqual(await world.contents());
    });

    test('ends promptly when it is aborted, before, while and after it waits', async () => {
      await using world = await factory();
      await world.write(items(1, 10));
      await using connector = world.open();
      const capture = new Capture(world.registry);
      await capture.run(connector, { after: null, done: ({ position }) => complete(position) });
      const aborted = AbortSignal.abort();
      await capture.run(connector, { after: capture.last, signal: aborted, done: () => false });
      const stop = new AbortController();
      const running = capture.run(connector, {
        after: capture.last,
        signal: stop.signal,
        done: () => false,
      });
      await world.write(items(11, 12));
      await expect.poll(() => capture.changes.length).toBe(12);
      const asked = performance.now();
      stop.abort();
      await running;
      expect(performance.now() - asked).toBeLessThan(2_000);
    });
  });
}
