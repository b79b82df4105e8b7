import { describe, expect, test } from 'vitest';
import { murmur2, partitionOf } from './partition.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

const kafka = (text: string, partitions: number): number =>
  (murmur2(bytes(text), 0, text.length) & 0x7fffffff) % partitions;
const keyWithId = (id: number) => Buffer.concat([Buffer.from([0, 0, 0, 0, id]), bytes('foobar')]);

describe('murmur2', () => {
  // org.apache.kafka.common.utils.UtilsTest.testMurmur2
  test.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('of %s is what Kafka computes', (text, expected) => {
    expect(murmur2(bytes(text), 0, text.length)).toBe(expected);
    const inside = bytes(`xx${text}yyy`);
    expect(murmur2(inside, 2, 2 + text.length)).toBe(expected);
  });
});

describe('the partition of a key', () => {
  test('is what Kafka chooses for a key without a wire header', () => {
    for (const text of ['', 'a', 'abcd', 'foobar']) {
      expect(partitionOf(bytes(text), text.length, 12)).toBe(kafka(text, 12));
    }
  });

  test('does not depend on the schema id', () => {
    expect(partitionOf(keyWithId(1), 11, 12)).toBe(kafka('foobar', 12));
    expect(partitionOf(keyWithId(200), 11, 12)).toBe(kafka('foobar', 12));
  });

  test('ends where the key ends in a larger buffer', () => {
    expect(partitionOf(bytes('foobar and more'), 6, 12)).toBe(kafka('foobar', 12));
  });
});
