import { expect, test } from 'vitest';
import type { SemanticType } from '../../schemas/semantic.ts';
import { unscaledBytes } from '../../tests/support/changes.ts';
import { throughDuckdb } from '../../tests/support/duckdb-column.ts';

const iso = (...texts: string[]): string[] => texts;

const cases: readonly [SemanticType, string, readonly (readonly [unknown, string | null])[]][] = [
  [
    { kind: 'boolean' },
    'BOOLEAN',
    [
      [true, 'true'],
      [false, 'false'],
      [null, null],
    ],
  ],
  [
    { kind: 'int16' },
    'SMALLINT',
    [
      [-32768, '-32768'],
      [32767, '32767'],
      [null, null],
    ],
  ],
  [
    { kind: 'int32' },
    'INTEGER',
    [
      [-2147483648, '-2147483648'],
      [2147483647, '2147483647'],
      [0, '0'],
    ],
  ],
  [
    { kind: 'int64' },
    'BIGINT',
    [
      [-(2n ** 63n), '-9223372036854775808'],
      [2n ** 63n - 1n, '9223372036854775807'],
      [2n ** 53n + 1n, '9007199254740993'],
      [-(2n ** 31n) - 1n, '-2147483649'],
      [2n ** 27n, '134217728'],
      [-1n, '-1'],
    ],
  ],
  [
    { kind: 'float32' },
    'FLOAT',
    [
      [0.5, '0.5'],
      [NaN, 'nan'],
      [-Infinity, '-inf'],
    ],
  ],
  [
    { kind: 'float64' },
    'DOUBLE',
    [
      [0.1, '0.1'],
      [1e300, '1e+300'],
      [NaN, 'nan'],
      [-0, '-0.0'],
    ],
  ],
  [
    { kind: 'string' },
    'VARCHAR',
    [
      ['', ''],
      ['käse 🧀', 'käse 🧀'],
      ['a\0b', 'a\0b'],
      ['twelve bytes and more', 'twelve bytes and more'],
    ],
  ],
  [{ kind: 'enum', allowed: ['new', 'paid'] }, 'VARCHAR', [['paid', 'paid']]],
  [
    { kind: 'bytes' },
    'BLOB',
    [
      [Buffer.from([0, 255, 65]), String.raw`\x00\xFFA`],
      [Buffer.alloc(0), ''],
    ],
  ],
  [
    { kind: 'decimal', precision: 4, scale: 2 },
    'DECIMAL(4,2)',
    [
      [unscaledBytes(-9999n), '-99.99'],
      [unscaledBytes(5n), '0.05'],
      [Buffer.from([0, 0, 0, 0, 0, 0, 0, 7]), '0.07'],
    ],
  ],
  [
    { kind: 'decimal', precision: 9, scale: 0 },
    'DECIMAL(9,0)',
    [[unscaledBytes(999_999_999n), '999999999']],
  ],
  [
    { kind: 'decimal', precision: 18, scale: 6 },
    'DECIMAL(18,6)',
    [
      [unscaledBytes(999_999_999_999_999_999n), '999999999999.999999'],
      [unscaledBytes(-1n), '-0.000001'],
      [unscaledBytes(-(2n ** 40n)), '-1099511.627776'],
    ],
  ],
  [
    { kind: 'decimal', precision: 38, scale: 10 },
    'DECIMAL(38,10)',
    [
      [unscaledBytes(-(10n ** 38n) + 1n), '-9999999999999999999999999999.9999999999'],
      [unscaledBytes(1n), '0.0000000001'],
      [unscaledBytes(-(2n ** 64n)), '-1844674407.3709551616'],
    ],
  ],
  [
    { kind: 'decimal', precision: 40, scale: 2 },
    'VARCHAR',
    [[unscaledBytes(10n ** 39n + 5n), '10000000000000000000000000000000000000.05']],
  ],
  [{ kind: 'decimal', precision: 5, scale: -2 }, 'VARCHAR', [[unscaledBytes(-123n), '-12300']]],
  [
    { kind: 'variable-decimal' },
    'VARCHAR',
    [
      [{ scale: 3, value: unscaledBytes(-1200n) }, '-1.200'],
      [{ scale: 0, value: unscaledBytes(7n) }, '7'],
      [{ scale: 5, value: unscaledBytes(1n) }, '0.00001'],
    ],
  ],
  [
    { kind: 'uuid' },
    'UUID',
    iso(
      '00000000-0000-0000-0000-000000000000',
      'ffffffff-ffff-ffff-ffff-ffffffffffff',
      '80000000-1234-5678-9abc-def012345678',
    ).map((text) => [text, text]),
  ],
  [
    { kind: 'json' },
    'JSON',
    [
      ['{"a": 1, "a": 2}', '{"a": 1, "a": 2}'],
      ['"\\ud800"', '"\\ud800"'],
      ['1e400', '1e400'],
    ],
  ],
  [
    { kind: 'array', items: { kind: 'int32' } },
    'INTEGER[]',
    [
      [[1, null, 3], '[1, NULL, 3]'],
      [[], '[]'],
      [null, null],
    ],
  ],
  [
    { kind: 'array', items: { kind: 'string' } },
    'VARCHAR[]',
    [[['a', 'käse', null], '[a, käse, NULL]']],
  ],
  [
    { kind: 'array', items: { kind: 'array', items: { kind: 'int64' } } },
    'BIGINT[][]',
    [[[[1n], null, [2n, 3n]], '[[1], NULL, [2, 3]]']],
  ],
  [
    { kind: 'array', items: { kind: 'uuid' } },
    'UUID[]',
    [[['80000000-1234-5678-9abc-def012345678'], '[80000000-1234-5678-9abc-def012345678]']],
  ],
];

test.each(cases)('%j becomes %s, every value as it was', async (type, sqlType, values) => {
  const found = await throughDuckdb(
    type,
    values.map(([value]) => value),
  );
  expect(found).toEqual({ type: sqlType, texts: values.map(([, text]) => text) });
});

test('many lists and NULLs over several chunks keep their rows', async () => {
  const values = Array.from({ length: 5000 }, (_, index) =>
    index % 7 === 0
      ? null
      : Array.from({ length: index % 5 }, (_, at) => `item ${index} ${at} of a long text`),
  );
  const { texts } = await throughDuckdb({ kind: 'array', items: { kind: 'string' } }, values);
  expect(texts).toEqual(values.map((value) => (value === null ? null : `[${value.join(', ')}]`)));
});
