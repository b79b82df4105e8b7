import {
  array,
  asyncProperty,
  assert as check,
  boolean,
  constantFrom,
  integer,
  oneof,
  record,
  type Arbitrary,
} from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { Workload, type Step } from '../support/workload.ts';

const seed = process.env['SEED'] === undefined ? Date.now() | 0 : Number(process.env['SEED']);
const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 25);

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

const id = integer({ min: 1, max: 12 });
const tag = constantFrom('short', 'long', 'null');
const step: Arbitrary<Step> = oneof(
  { weight: 5, arbitrary: record({ do: constantFrom('put' as const), id, body: tag }) },
  { weight: 4, arbitrary: record({ do: constantFrom('touch' as const), id }) },
  { weight: 3, arbitrary: record({ do: constantFrom('delete' as const), id }) },
  { weight: 4, arbitrary: record({ do: constantFrom('move' as const), id, to: id }) },
  { weight: 1, arbitrary: record({ do: constantFrom('truncate' as const) }) },
  { weight: 1, arbitrary: record({ do: constantFrom('add column' as const) }) },
  { weight: 1, arbitrary: record({ do: constantFrom('drop column' as const) }) },
  { weight: 1, arbitrary: record({ do: constantFrom('rename column' as const) }) },
  { weight: 1, arbitrary: record({ do: constantFrom('widen column' as const) }) },
  { weight: 2, arbitrary: record({ do: constantFrom('commit' as const) }) },
  { weight: 1, arbitrary: record({ do: constantFrom('roll back' as const) }) },
  {
    weight: 1,
    arbitrary: record({ do: constantFrom('crash' as const), at: integer({ min: 0, max: 7 }) }),
  },
);

const table = record({ partitions: constantFrom(1, 4), isFull: boolean() });

test(
  `any workload leaves equal tables, whatever it does to keys, long values and columns, over any partitions, and wherever the pipeline crashes (SEED=${seed} PROPERTY_SECONDS=${seconds})`,
  async () => {
    const end = performance.now() + seconds * 1000;
    let runs = 0;
    await check(
      asyncProperty(
        array(step, { minLength: 5, maxLength: 60, size: 'max' }),
        table,
        async (steps, table) => {
          // The first is run whatever it takes, and none is cut off: its server would be stopped under it.
          if (runs++ > 0 && performance.now() > end) return;
          await using workload = await Workload.open(server, table);
          for (const step of steps) await workload.perform(step);
          expect(await workload.outcome()).toMatchObject({ equal: true, first: null });
        },
      ),
      {
        seed,
        // As many as there could be in the time.
        numRuns: 10 + 10 * seconds,
        timeout: 60_000,
        endOnFailure: process.env['SHRINK'] === undefined,
      },
    );
  },
  (seconds + 120) * 1000,
);
