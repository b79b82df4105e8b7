import { assert, bigInt, property } from 'fast-check';
import { expect, test } from 'vitest';
import { KeyHash } from '../../broker/key-hash.ts';
import { KeyTable, TOMBSTONE } from './key-table.ts';

const hash = new KeyHash();
const hashOf = (key: number): KeyHash => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(key);
  return hash.of(bytes, 0, 4);
};

const words = (version: bigint): [number, number] => [
  Number(version >> 32n),
  Number(BigInt.asUintN(32, version)),
];

test('each of many keys keeps its entry, version and row through every growth', () => {
  const table = new KeyTable(0);
  const count = 60_000;
  const wrong: number[] = [];
  for (let key = 0; key < count; key++) {
    if (table.find(hashOf(key)) !== -1) wrong.push(key);
    const entry = table.add(hash);
    if (entry !== key) wrong.push(key);
    table.setVersion(entry, key % 7, -key | 0);
    table.setRow(entry, { segment: key % 5, offset: key * 70_000, length: key });
  }
  const place = { segment: 0, offset: 0, length: 0 };
  for (let key = 0; key < count; key++) {
    const entry = table.find(hashOf(key));
    table.row(entry, place);
    const { segment, offset, length } = place;
    const isOurs = segment === key % 5 && offset === (key * 70_000) % 2 ** 32 && length === key;
    if (entry !== key || !isOurs || table.compare(entry, key % 7, -key >>> 0) !== 0)
      wrong.push(key);
  }
  expect(wrong).toEqual([]);
  expect(table.keys).toBe(count);
  expect(table.bytes / count).toBeLessThan(60);
});

test('keys that differ in one word of the hash only are different keys', () => {
  const table = new KeyTable(0);
  const words = [
    [1, 1, 1, 1],
    [2, 1, 1, 1],
    [1, 2, 1, 1],
    [1, 1, 2, 1],
    [1, 1, 1, 2],
  ] as const;
  const set = ([a, b, c, d]: (typeof words)[number]): KeyHash =>
    Object.assign(hash, { a, b, c, d });
  for (const word of words) {
    expect(table.find(set(word))).toBe(-1);
    table.add(hash);
  }
  expect(words.map((word) => table.find(set(word)))).toEqual([0, 1, 2, 3, 4]);
});

test('versions are ordered as signed 64-bit numbers', () => {
  const table = new KeyTable(0);
  const entry = table.add(hashOf(1));
  const int64 = bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  assert(
    property(int64, int64, (one, two) => {
      table.setVersion(entry, ...words(one));
      expect(Math.sign(table.compare(entry, ...words(two)))).toBe(
        two > one ? 1 : two < one ? -1 : 0,
      );
    }),
  );
});

test('tombstones past their retention make room for new keys; rows and young tombstones stay', () => {
  const table = new KeyTable(10_000);
  const fill = (from: number, to: number, tombstone: boolean): void => {
    for (let key = from; key < to; key++) {
      table.find(hashOf(key));
      const entry = table.add(hash);
      if (tombstone) table.setTombstone(entry, -1);
      else table.setRow(entry, { segment: 0, offset: key, length: 1 });
    }
  };
  table.now = 1000;
  fill(0, 20_000, true);
  fill(20_000, 25_000, false);
  table.now = 1010;
  fill(25_000, 40_000, true);
  expect(table.keys).toBe(40_000);
  table.now = 1011;
  fill(40_000, 60_000, true);
  expect(table.entries).toBeLessThan(50_000);
  const kept = Array.from({ length: 40_000 }, (_, key) => table.find(hashOf(key + 20_000)));
  expect(kept).not.toContain(-1);
  expect(new Set(kept).size).toBe(40_000);
  expect(kept.slice(5000).every((entry) => table.segment(entry) === TOMBSTONE)).toBe(true);
});
