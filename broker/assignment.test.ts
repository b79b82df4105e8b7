import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { propertySeed } from '../tests/property-seed.ts';
import { assign } from './assignment.ts';

interface TestMember {
  readonly name: number;
  readonly topics: ReadonlySet<string>;
}

const partitionsOf = (topics: Readonly<Record<string, number>>) =>
  Object.entries(topics).flatMap(([topic, count]) =>
    Array.from({ length: count }, (_, partition) => ({ topic, partition })),
  );

const member = (name: number, ...topics: string[]): TestMember => ({
  name,
  topics: new Set(topics),
});

test('partitions are spread evenly, and a joining member takes only its share', () => {
  const partitions = partitionsOf({ a: 7 });
  const one = member(1, 'a');
  const alone = assign(partitions, [one], () => undefined);
  expect(new Set(alone.values())).toEqual(new Set([one]));
  const two = member(2, 'a');
  const both = assign(partitions, [one, two], (partition) => alone.get(partition));
  expect([...both.values()].filter((holder) => holder === two).length).toBe(3);
});

test('the remainders of several topics even out', () => {
  const members = [member(1, 'a', 'b', 'c', 'd'), member(2, 'a', 'b', 'c', 'd')];
  const target = assign(partitionsOf({ a: 1, b: 1, c: 1, d: 1 }), members, () => undefined);
  expect([...target.values()].filter((holder) => holder.name === 1).length).toBe(2);
});

test('whoever comes and goes, every partition has one holder that wants it, and shares are fair', () => {
  const topics = fc.subarray(['a', 'b', 'c'], { minLength: 1 });
  const counts = fc.record({ a: fc.nat(6), b: fc.nat(6), c: fc.nat(6) });
  fc.assert(
    fc.property(
      counts,
      fc.array(fc.array(topics, { maxLength: 5 }), { maxLength: 4 }),
      (sizes, steps) => {
        const partitions = partitionsOf(sizes);
        let held = new Map<(typeof partitions)[number], TestMember>();
        const members = new Map<number, TestMember>();
        for (const step of steps) {
          // Members 0…n-1 are there in this step; those that stay keep what they want.
          step.forEach((wanted, name) => {
            if (!members.has(name)) members.set(name, member(name, ...wanted));
          });
          for (const name of members.keys()) if (name >= step.length) members.delete(name);
          const present = [...members.values()];
          const before = held;
          const holder = (partition: (typeof partitions)[number]) => {
            const found = before.get(partition);
            return found !== undefined && present.includes(found) ? found : undefined;
          };
          const target = assign(partitions, present, holder);
          for (const topic of Object.keys(sizes)) {
            const able = present.filter((one) => one.topics.has(topic));
            const ofTopic = partitions.filter((one) => one.topic === topic);
            const loads = able.map(
              (one) => ofTopic.filter((each) => target.get(each) === one).length,
            );
            const held = loads.reduce((sum, load) => sum + load, 0);
            expect(held).toBe(able.length === 0 ? 0 : ofTopic.length);
            expect(Math.max(0, ...loads) - Math.min(...loads)).toBeLessThanOrEqual(1);
          }
          held = target;
        }
      },
    ),
    { numRuns: 300, ...propertySeed() },
  );
});
