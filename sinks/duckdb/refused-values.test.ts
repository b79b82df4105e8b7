import { expect, test } from 'vitest';
import { silent } from '../../log.ts';
import {
  batchOf,
  memoryRegistry,
  TableChangesBuilder,
  unscaledBytes,
} from '../../tests/support/changes.ts';
import { throughDuckdb } from '../../tests/support/duckdb-column.ts';
import { duckdbSink } from './sink.ts';

test.each([
  [
    'a decimal with too many digits',
    { kind: 'decimal', precision: 4, scale: 2 },
    unscaledBytes(10_000n),
    'VALUE_UNSUPPORTED',
  ],
  [
    'a decimal far too large',
    { kind: 'decimal', precision: 18, scale: 0 },
    unscaledBytes(10n ** 18n),
    'VALUE_UNSUPPORTED',
  ],
  [
    'parts of a microsecond',
    { kind: 'zoned-timestamp' },
    '2024-01-01T00:00:00.1234567Z',
    'VALUE_UNSUPPORTED',
  ],
  ['a day that is none', { kind: 'zoned-timestamp' }, '2023-02-29T00:00:00Z', 'RECORD_MALFORMED'],
  [
    'an instant without a zone',
    { kind: 'zoned-timestamp' },
    '2023-02-28T00:00:00.000',
    'RECORD_MALFORMED',
  ],
  [
    'milliseconds beyond the range',
    { kind: 'timestamp', unit: 'ms' },
    2n ** 60n,
    'VALUE_UNSUPPORTED',
  ],
  [
    'a time past the end of the day',
    { kind: 'time', unit: 'us' },
    86_400_000_001n,
    'VALUE_UNSUPPORTED',
  ],
  [
    'a UUID with a letter too many',
    { kind: 'uuid' },
    '80000000-1234-5678-9abc-def0123456789',
    'RECORD_MALFORMED',
  ],
  [
    'a UUID with a letter that is no digit',
    { kind: 'uuid' },
    '8000000g-1234-5678-9abc-def012345678',
    'RECORD_MALFORMED',
  ],
  ['the one number that is no date', { kind: 'date' }, -2147483648, 'VALUE_UNSUPPORTED'],
] as const)('%s is refused with its place', async (_, type, value, code) => {
  await expect(throughDuckdb(type, [value])).rejects.toMatchObject({
    code,
    place: 'shop.public.t.changes, partition 0, offset 0',
  });
});

test('text that is not UTF-8 is refused, not made NULL', async () => {
  const registry = memoryRegistry();
  const options = { path: ':memory:', pipeline: 'types', prefix: 'shop', threads: 1 };
  await using sink = duckdbSink(options, { registry, log: silent });
  const columns = [
    { name: 'id', type: { kind: 'int32' }, optional: false },
    { name: 'v', type: { kind: 'string' }, optional: true },
  ] as const;
  const shape = { topic: 'shop.public.t', key: ['id'], columns };
  const builder = await TableChangesBuilder.register(shape, registry);
  const { topic } = builder;
  const record = builder.record({ op: 'c', version: 1, after: { id: 1, v: 'needle' } });
  const value = Buffer.from(record.value ?? '');
  value[value.indexOf('needle')] = 0xff;
  await sink.open([{ topic, partition: 0 }]);
  const other = builder.record({ op: 'c', version: 2, after: { id: 2, v: 'other' } });
  const batch = batchOf([other, { ...record, value }], { topic });
  const { refused } = await sink.write([batch], new AbortController().signal);
  const place = 'shop.public.t.changes, partition 0, offsets 0 to 1';
  expect(refused).toMatchObject([{ topic, code: 'RECORD_MALFORMED', place }]);
});
