import { describe, expect, test } from 'vitest';
import { measure } from './harness.ts';
import { findHop, hopNames } from './hops.ts';
import { line, short, table } from './report.ts';

/** No figure is asserted, only that a benchmark still measures what it says. */
describe('a quick run of every benchmark', () => {
  test.each(hopNames)('%s does all of its events', { timeout: 120_000 }, async (name) => {
    const hop = await findHop(name);
    const runs = await measure(hop, { quick: true, seconds: 0, profile: null });
    expect(runs).toHaveLength(1);
    const [run] = runs;
    expect(run?.events).toBeGreaterThanOrEqual(hop.quickEvents);
    expect(run?.seconds).toBeGreaterThan(0);
    expect(run?.rssBytes).toBeGreaterThan(1e6);
    expect(run?.latenciesMs?.length).toBe(name === 'latency' ? hop.quickEvents : undefined);
  });
});

describe('a quick run with tables of another kind', () => {
  test.each(['wide', 'large'] as const)('%s', { timeout: 120_000 }, async (table) => {
    const hop = await findHop('stream-end-to-end');
    const [run] = await measure(hop, { quick: true, seconds: 0, profile: null, table });
    expect(run?.events).toBeGreaterThanOrEqual(hop.quickEvents);
  });
});

test('a line has the median and the range of the counted runs', () => {
  const run = { events: 1000, cpuSeconds: 0.002, rssBytes: 2 ** 20, diskBytes: 5000 };
  const runs = [1, 4, 2].map((seconds) => ({ ...run, seconds }));
  expect(line('compact', runs).slice(0, 5)).toEqual([
    'compact',
    '500 [250–1.00 k], 3',
    '2.00',
    '1',
    '5',
  ]);
  expect(table([line('compact', runs)]).split('\n')).toHaveLength(3);
});

test('rates are short enough for a table', () => {
  expect([short(999), short(12_345), short(1_234_567)]).toEqual(['999', '12.3 k', '1.23 M']);
});
