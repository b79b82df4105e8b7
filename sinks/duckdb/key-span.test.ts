import bindings from '@duckdb/node-bindings';
import { expect, test } from 'vitest';
import type { Table } from '../dialect.ts';
import { KeySpan } from './key-span.ts';
import { vectorOf, type FixedVector } from './vector.ts';
import { writeBigWords } from './words.ts';

const table = (type: string, key: readonly string[] = ['id']): Table => ({
  schema: 'public',
  name: 't',
  mode: 'merge',
  deletes: 'hard',
  key,
  columns: [
    { name: 'other', type: 'BIGINT' },
    { name: 'id', type },
  ],
});

const vectors = (type: string) => [vectorOf(bindings, 'BIGINT'), vectorOf(bindings, type)];

function spanOf(type: string, write: (vector: FixedVector) => void, rows: number): KeySpan {
  const vector = vectorOf(bindings, type);
  const span = KeySpan.of(table(type), [vectorOf(bindings, 'BIGINT'), vector]);
  if (span === null) throw new Error(`no span for ${type}`);
  write(vector as FixedVector);
  span.add(rows);
  return span;
}

test('it is as wide as the keys of all chunks, whatever integers they are', () => {
  const words = [5n, -(2n ** 40n), 2n ** 62n];
  const big = spanOf(
    'BIGINT',
    ({ i32 }) => words.forEach((key, row) => writeBigWords(key, i32, row * 2)),
    3,
  );
  expect(big).toMatchObject({ low: -(2 ** 40), high: 2 ** 62, hasNulls: false });
  const int = spanOf('INTEGER', ({ i32 }) => i32.set([7, -3]), 2);
  expect(int).toMatchObject({ low: -3, high: 7 });
  int.add(1);
  expect(int).toMatchObject({ low: -3, high: 7 });
  expect(spanOf('SMALLINT', ({ i16 }) => i16.set([-9, 4, 99]), 2)).toMatchObject({
    low: -9,
    high: 4,
  });
  int.reset();
  expect(int.low > int.high).toBe(true);
});

test('keys that a number cannot tell apart are equal, not one above the other', () => {
  const close = [2n ** 60n, 2n ** 60n + 1n];
  const span = spanOf(
    'BIGINT',
    ({ i32 }) => close.forEach((key, row) => writeBigWords(key, i32, row * 2)),
    2,
  );
  expect(span.low).toBe(span.high);
});

test('a row without a key is noticed', () => {
  expect(spanOf('INTEGER', (vector) => vector.setNull(1), 2).hasNulls).toBe(true);
});

test('there is none for other keys', () => {
  expect(KeySpan.of(table('VARCHAR'), vectors('VARCHAR'))).toBeNull();
  expect(KeySpan.of(table('UUID'), vectors('UUID'))).toBeNull();
  expect(KeySpan.of(table('BIGINT', ['id', 'other']), vectors('BIGINT'))).toBeNull();
  expect(KeySpan.of(table('BIGINT', []), vectors('BIGINT'))).toBeNull();
});
