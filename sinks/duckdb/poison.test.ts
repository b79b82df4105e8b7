import {
  assert as check,
  asyncProperty,
  constantFrom,
  integer,
  record,
  uint8Array,
} from 'fast-check';
import { expect, test } from 'vitest';
import { silent } from '../../log.ts';
import { batchOf, memoryRegistry, TableChangesBuilder } from '../../tests/support/changes.ts';
import { propertySeed } from '../../tests/property-seed.ts';
import { duckdbSink } from './sink.ts';

const registry = memoryRegistry();
const shape = {
  topic: 'shop.public.t',
  key: ['id'],
  columns: [
    { name: 'id', type: { kind: 'int32' }, optional: false },
    { name: 'v', type: { kind: 'string' }, optional: true },
    { name: 'at', type: { kind: 'timestamp', unit: 'us' }, optional: true },
    { name: 'b', type: { kind: 'boolean' }, optional: true },
  ],
} as const;
const builder = await TableChangesBuilder.register(shape, registry);
const { topic } = builder;
const good = builder.record({ op: 'c', version: 1, after: { id: 1, v: 'one', at: 5n, b: true } });

test('a record whose schema is not in the registry is named by its place', async () => {
  await using sink = duckdbSink(options('merge'), { registry, log: silent });
  await sink.open([{ topic, partition: 0 }]);
  const value = Buffer.concat([
    Buffer.of(0, 0x7f, 0, 0, 0),
    good.value?.subarray(5) ?? Buffer.alloc(0),
  ]);
  const writing = sink.write([batchOf([{ ...good, value }], { topic })], never);
  await expect(writing).rejects.toMatchObject({
    code: 'SCHEMA_UNKNOWN',
    place: `${topic}, partition 0, offset 0`,
  });
});

const damage = record({
  part: constantFrom('key' as const, 'value' as const),
  // Not the schema id: another schema is another table.
  at: integer({ min: 5, max: 120 }),
  without: integer({ min: 0, max: 4 }),
  with: uint8Array({ maxLength: 12 }),
  mode: constantFrom('merge' as const, 'append' as const),
});

test('whatever bytes a record has, it is written or its table is parked with its place', async () => {
  await check(
    asyncProperty(damage, async ({ part, at, without, with: garbage, mode }) => {
      await using sink = duckdbSink(options(mode), { registry, log: silent });
      await sink.open([{ topic, partition: 0 }]);
      const whole = good[part] ?? Buffer.alloc(0);
      const bytes = Buffer.concat([whole.subarray(0, at), garbage, whole.subarray(at + without)]);
      const batch = batchOf([good, { ...good, version: 2n, [part]: bytes }], { topic });
      const { refused } = await sink.write([batch], never);
      if (refused.length === 0) return;
      expect(refused).toMatchObject([
        {
          code: expect.stringMatching('RECORD_MALFORMED|VALUE_UNSUPPORTED'),
          place: expect.stringContaining(`${topic}, partition 0, offset`),
        },
      ]);
    }),
    { ...propertySeed(), numRuns: propertySeed().numRuns ?? 60 },
  );
});

const never = new AbortController().signal;

function options(mode: 'merge' | 'append') {
  return { path: ':memory:', pipeline: 'poison', prefix: 'shop', threads: 1, mode };
}
