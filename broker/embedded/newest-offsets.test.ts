import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { propertySeed } from '../../tests/property-seed.ts';
import { NewestOffsets } from './newest-offsets.ts';

const bounds = (key: Buffer) => ({ keyStart: 0, keyLength: key.length });

test('the table knows the newest offset of each key, like a map', () => {
  // What begins like a Confluent header is known by what follows: two of those may be the same key.
  const key = fc
    .uint8Array({ maxLength: 40 })
    .map((bytes) => Buffer.from(bytes))
    .filter((bytes) => bytes[0] !== 0);
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
      const table = new NewestOffsets(list.length + 1);
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
  const table = new NewestOffsets(100);
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

test('a key keeps its place when its schema gets a new id', () => {
  const table = new NewestOffsets(10);
  const before = Buffer.from([0, 0, 0, 0, 1, 42]);
  const after = Buffer.from([0, 0, 0, 0, 9, 42]);
  table.put(before, bounds(before), 5);
  expect(table.get(after, bounds(after))).toBe(5);
});
