import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ComparedColumn } from './columns.ts';
import { compareRows } from './compare.ts';
import type { CanonicalRow } from './sorted-rows.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

const columns: readonly ComparedColumn[] = [
  { name: 'id', type: { kind: 'integer' }, keyPlace: 0 },
  { name: 'v', type: { kind: 'text' }, keyPlace: null },
];

async function* batches(rows: CanonicalRow[], size: number): AsyncIterable<CanonicalRow[]> {
  for (let at = 0; at < rows.length; at += size) yield rows.slice(at, at + size);
  yield [];
}

const value = fc.constantFrom('a', 'b', null);
const table = fc
  .dictionary(fc.integer({ min: -30, max: 30 }).map(String), value)
  .map((rows) => new Map(Object.entries(rows)));

const sorted = (rows: Map<string, string | null>): CanonicalRow[] =>
  [...rows].sort(([a], [b]) => Number(a) - Number(b)).map(([id, v]) => [id, v]);

test(`missing, extra and different rows are those that sets say (SEED=${seed})`, async () => {
  await fc.assert(
    fc.asyncProperty(table, table, fc.integer({ min: 1, max: 7 }), async (left, right, size) => {
      const found = await compareRows(
        columns,
        batches(sorted(left), size),
        batches(sorted(right), size + 1),
      );
      const ids = [...left.keys()];
      const missing = ids.filter((id) => !right.has(id)).length;
      const extra = [...right.keys()].filter((id) => !left.has(id)).length;
      const different = ids.filter((id) => right.has(id) && right.get(id) !== left.get(id)).length;
      expect(found).toMatchObject({ missing, extra, different });
      expect([found.sourceRows, found.sinkRows]).toEqual([left.size, right.size]);
      expect(found.first === null).toBe(missing + extra + different === 0);
    }),
    { seed, numRuns: 300 },
  );
});

test('no value but that of a key is told', async () => {
  const found = await compareRows(
    columns,
    batches([['7', 'secret']], 1),
    batches([['7', 'other']], 1),
  );
  expect(found.first).toBe('v differs at key id=7');
});
