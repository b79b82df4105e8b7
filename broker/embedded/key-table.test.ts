import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { propertySeed } from '../../tests/property-seed.ts';
import { KeyTable, murmur3 } from './key-table.ts';

const hashOf = (text: string, seed: number): string => {
  const into = new Uint32Array(4);
  const bytes = Buffer.from(`xx${text}yy`, 'latin1');
  murmur3(bytes, { keyStart: 2, keyLength: text.length }, { seed, into });
  return Buffer.from(into.buffer).toString('hex');
};

// Vectors that other implementations of MurmurHash3_x86_128 are tested with.
test.each([
  ['', 0, '00000000000000000000000000000000'],
  ['', 2538058380, 'a1d5bef71c6a575b1c6a575b1c6a575b'],
  ['The quick brown fox jumps over the lazy dog', 2538058380, '5ed5d48a7161b84c9c3aa78e3e79b6cd'],
  ['The quick brown fox jumps over the lazy cog', 2538058380, '0e8829ccf91081107c6f5ebf3433e188'],
])('the hash of %j with seed %i is that of the reference', (text, seed, expected) => {
  expect(hashOf(text, seed)).toBe(expected);
});

const bounds = (key: Uint8Array) => ({ keyStart: 0, keyLength: key.length });

test('the table knows the newest offset of each key, like a map', () => {
  const key = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
  const puts = fc.array(
    fc.tuple(
      fc.oneof(
        key,
        fc.constantFrom('a', 'b', 'c').map((one) => Buffer.from(one)),
      ),
      fc.nat(),
    ),
  );
  fc.assert(
    fc.property(puts, (list) => {
      const table = new KeyTable(list.length + 1);
      const model = new Map<string, number>();
      for (const [bytes, offset] of list) {
        expect(table.put(bytes, bounds(bytes), offset)).toBe(true);
        const text = bytes.toString('hex');
        model.set(text, Math.max(offset, model.get(text) ?? -1));
      }
      expect(table.size).toBe(model.size);
      for (const [text, offset] of model) {
        const bytes = Buffer.from(text, 'hex');
        expect(table.get(bytes, bounds(bytes))).toBe(offset);
      }
      const absent = Buffer.from('this is no key of forty bytes or fewer: it is longer');
      expect(table.get(absent, bounds(absent))).toBe(-1);
    }),
    propertySeed(),
  );
});

test('a full table refuses new keys, and still takes newer offsets of those it has', () => {
  const table = new KeyTable(100);
  const key = Buffer.alloc(4);
  for (let index = 0; index < 100; index++) {
    key.writeUInt32LE(index);
    expect(table.put(key, bounds(key), index)).toBe(true);
  }
  expect(table.full).toBe(true);
  key.writeUInt32LE(100);
  expect(table.put(key, bounds(key), 100)).toBe(false);
  key.writeUInt32LE(7);
  expect(table.put(key, bounds(key), 107)).toBe(true);
  expect(table.get(key, bounds(key))).toBe(107);
  table.clear();
  expect([table.size, table.get(key, bounds(key))]).toEqual([0, -1]);
});
