import { expect, test } from 'vitest';
import type { SemanticType } from '../../schemas/semantic.ts';
import { throughDuckdb } from '../../tests/support/duckdb-column.ts';

const cases: readonly [SemanticType, string, readonly (readonly [unknown, string | null])[]][] = [
  [
    { kind: 'date' },
    'DATE',
    [
      [0, '1970-01-01'],
      [-719529, '0002-12-31 (BC)'],
      [2147483647, 'infinity'],
      [-2147483647, '-infinity'],
      [2932897, '10000-01-01'],
    ],
  ],
  [
    { kind: 'time', unit: 'us' },
    'TIME',
    [
      [0n, '00:00:00'],
      [86_399_999_999n, '23:59:59.999999'],
      [86_400_000_000n, '24:00:00'],
    ],
  ],
  [{ kind: 'time', unit: 'ms' }, 'TIME', [[1500, '00:00:01.5']]],
  [{ kind: 'time', unit: 'ns' }, 'TIME_NS', [[1n, '00:00:00.000000001']]],
  [
    { kind: 'timestamp', unit: 'us' },
    'TIMESTAMP',
    [
      [0n, '1970-01-01 00:00:00'],
      [1n, '1970-01-01 00:00:00.000001'],
      [2n ** 63n - 1n, 'infinity'],
      [-(2n ** 63n) + 1n, '-infinity'],
      [-62135596800000000n - 86_400_000_000n, '0001-12-31 (BC) 00:00:00'],
    ],
  ],
  [
    { kind: 'timestamp', unit: 'ms' },
    'TIMESTAMP',
    [
      [1n, '1970-01-01 00:00:00.001'],
      [253402300800000n, '10000-01-01 00:00:00'],
    ],
  ],
  [{ kind: 'timestamp', unit: 'ns' }, 'TIMESTAMP_NS', [[1n, '1970-01-01 00:00:00.000000001']]],
];

test.each(cases)('%j becomes %s, every value as it was', async (type, sqlType, values) => {
  const found = await throughDuckdb(
    type,
    values.map(([value]) => value),
  );
  expect(found).toEqual({ type: sqlType, texts: values.map(([, text]) => text) });
});

test('a zoned timestamp is its instant to the microsecond, also far from today', async () => {
  const texts = [
    ['2024-02-29T23:59:59.123456Z', '1709251199123456'],
    ['1969-12-31T23:59:59.999999Z', '-1'],
    ['2024-01-01T00:00:00Z', '1704067200000000'],
    ['2024-01-01T00:00:00.1Z', '1704067200100000'],
    ['2024-01-01T02:00:00+02:00', '1704067200000000'],
    ['9999-12-31T23:59:59.999999Z', '253402300799999999'],
    ['+10000-01-01T00:00:00Z', '253402300800000000'],
    ['-0001-01-01T00:00:00Z', '-62198755200000000'],
  ] as const;
  const shape = { kind: 'zoned-timestamp' } as const;
  const found = await throughDuckdb(
    shape,
    texts.map(([text]) => text),
    'epoch_us(v)::VARCHAR',
  );
  expect(found.type).toBe('TIMESTAMP WITH TIME ZONE');
  expect(found.texts).toEqual(texts.map(([, micros]) => micros));
  expect((await throughDuckdb(shape, ['infinity', '-infinity'])).texts).toEqual([
    'infinity',
    '-infinity',
  ]);
});
