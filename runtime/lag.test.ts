import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { LagTrace } from './lag.ts';

const seed = process.env['SEED'];
const replay = seed === undefined ? {} : { seed: Number(seed) };

test('the hops of one change add up to its way from commit to sink', () => {
  const lag = new LagTrace(['duck']);
  lag.read(1_000, 1_004);
  lag.raw(1_000, 1_010);
  lag.changes(1_000, 1_030);
  lag.applied('duck', 1_000, 1_050);
  expect(lag.lag('duck', 1_050)).toEqual({
    read: 0.004,
    raw: 0.006,
    changes: 0.02,
    applied: 0.02,
    total: 0.05,
  });
});

test('nothing is known before the first change, and only what was measured after it', () => {
  const lag = new LagTrace(['duck']);
  expect(lag.lag('duck', 5)).toEqual({
    read: null,
    raw: null,
    changes: null,
    applied: null,
    total: null,
  });
  lag.read(1_000, 1_004);
  expect(lag.lag('duck', 1_004)).toMatchObject({
    read: 0.004,
    raw: 0,
    changes: null,
    total: 0.004,
  });
});

test('a change that waits counts for as long as it waits', () => {
  const lag = new LagTrace(['duck']);
  lag.read(1_000, 1_004);
  lag.raw(1_000, 1_010);
  lag.changes(1_000, 1_020);
  expect(lag.lag('duck', 61_020)).toMatchObject({ applied: 60, changes: 0 });
});

test('a pipeline with nothing to do has no lag, whatever its last change met', () => {
  const lag = new LagTrace(['duck']);
  lag.read(0, 60_000);
  lag.raw(0, 60_001);
  lag.changes(0, 60_002);
  lag.applied('duck', 0, 60_003);
  expect(lag.lag('duck', 60_003)).toMatchObject({ total: 60.003 });
  expect(lag.lag('duck', 80_000)).toMatchObject({ read: 0, total: 0 });
});

test('each sink has a lag of its own', () => {
  const lag = new LagTrace(['fast', 'slow']);
  lag.read(1_000, 1_001);
  lag.changes(1_000, 1_003);
  lag.applied('fast', 1_000, 1_005);
  expect(lag.lag('fast', 9_003)).toMatchObject({ applied: 0.002 });
  expect(lag.lag('slow', 9_003)).toMatchObject({ applied: 8 });
});

test('a reader that is told before the writer keeps the order of the places', () => {
  const lag = new LagTrace(['duck']);
  lag.read(1_000, 1_001);
  lag.changes(1_000, 1_003); // The processor has it before the source hears that it is published.
  lag.raw(1_000, 1_004);
  expect(lag.lag('duck', 1_004)).toMatchObject({ raw: 0.002, changes: 0 });
});

test('hops are never negative, add up, and what is kept is bounded, for any order of events', () => {
  const event = fc.record({
    place: fc.constantFrom('read', 'raw', 'changes', 'applied'),
    committed: fc.integer({ min: 0, max: 2_000 }),
    after: fc.integer({ min: 0, max: 50 }),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 300 }), (events) => {
      const lag = new LagTrace(['duck']);
      let now = 1_000;
      for (const { place, committed, after } of events) {
        now += after;
        if (place === 'applied') lag.applied('duck', committed, now);
        else lag[place](committed, now);
      }
      const { total, ...hops } = lag.lag('duck', now);
      const known = Object.values(hops).filter((part) => part !== null);
      for (const part of known) expect(part).toBeGreaterThanOrEqual(0);
      const sum = known.reduce((all, part) => all + part, 0);
      expect(total ?? 0).toBeCloseTo(sum, 6);
    }),
    replay,
  );
});

test('a sink that stands still for a day does not make the trace grow', () => {
  const lag = new LagTrace(['duck']);
  for (let second = 0; second < 86_400; second++) {
    lag.read(second * 1_000, second * 1_000 + 2);
    lag.changes(second * 1_000, second * 1_000 + 5);
  }
  // The oldest that waits is still known, to within what thinning takes away.
  expect(lag.lag('duck', 86_400_000).applied).toBeGreaterThan(86_000);
  expect(lag.kept).toBeLessThanOrEqual(512);
});

test('a clock of the source that is set back hides nothing for as long as it is behind', () => {
  const lag = new LagTrace(['duck']);
  lag.read(50_000_000, 1_000, 3);
  lag.raw(50_000_000, 1_010);
  lag.read(10_000_000, 2_000, 40_000_004);
  lag.raw(10_000_000, 2_500);
  expect(lag.lag('duck', 2_500)).toMatchObject({ read: 40_000.004, raw: 0.5 });
});
