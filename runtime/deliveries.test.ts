import { expect, test } from 'vitest';
import { systemClock } from './clock.ts';
import { SmallPipeline } from '../tests/support/small-pipeline.ts';

const never = new AbortController().signal;

test('what has not reached a sink is counted per table, with the age of the oldest', async () => {
  const small = new SmallPipeline(9);
  const stop = new AbortController();
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  small.table.before = () => held;
  const committed = Date.now();
  let now = committed;
  await using pipeline = await small.open({
    clock: { ...systemClock, wall: () => now },
  });
  const running = pipeline.run(stop.signal);
  const found = async (): Promise<object | undefined> => (await pipeline.deliveries(never))[0];
  // The numbers are on the topics, and the first delivery is in the sink's hands for a minute.
  await expect.poll(() => small.source.acked.length).toBe(9);
  now = committed + 60_000;
  await expect
    .poll(found)
    .toMatchObject({ table: 'public.orders', sink: 'duckdb', behindRecords: 9, changes: null });
  const { behindSeconds } = (await pipeline.deliveries(never))[0] ?? {};
  expect(behindSeconds).toBeGreaterThan(50);
  expect(behindSeconds).toBeLessThanOrEqual(60);
  release();
  await expect.poll(found).toMatchObject({ behindRecords: 0, behindSeconds: 0 });
  stop.abort();
  await running;
});
