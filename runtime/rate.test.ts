import { expect, test } from 'vitest';
import { Rate } from './rate.ts';

test('a steady flow is shown as its rate, from the first seconds on', () => {
  let now = 500_300;
  const rate = new Rate(() => now);
  const flow = (seconds: number): void => {
    for (let tick = 0; tick < seconds * 10; tick++) {
      rate.add(10);
      now += 100;
    }
  };
  flow(3);
  expect(rate.perSecond()).toBeCloseTo(100, -1);
  flow(27);
  expect(rate.perSecond()).toBeCloseTo(100, -1);
});

test('a flow that has ended fades within a few seconds', () => {
  let now = 1_000_000;
  const rate = new Rate(() => now);
  rate.add(5_000);
  now += 2_000;
  expect(rate.perSecond()).toBeCloseTo(2_500);
  now += 3_000;
  expect(rate.perSecond()).toBe(0);
});
