import { expect, test } from 'vitest';
import { armed, failpoints, inert } from './failpoints.ts';

test('nothing is armed without a name', () => {
  expect(armed(undefined, () => {})).toBe(inert);
});

test.each(failpoints)('%s kills when it is reached, and no other does', (armedPoint) => {
  let kills = 0;
  const reach = armed(armedPoint, () => kills++);
  for (const point of failpoints) if (point !== armedPoint) reach(point);
  expect(kills).toBe(0);
  reach(armedPoint);
  reach(armedPoint);
  expect(kills).toBe(1);
});

test('a number kills at that time and not before', () => {
  const reached: number[] = [];
  let times = 0;
  const reach = armed('sink.written:3', () => reached.push(times));
  for (times = 1; times <= 5; times++) reach('sink.written');
  expect(reached).toEqual([3]);
});

test.each(['sink', 'sink.written:0', 'sink.written:x'])('%s is refused with the names', (spec) => {
  expect(() => armed(spec, () => {})).toThrow(/expected one of source\.read, /);
});
