import {
  array,
  assert,
  asyncProperty,
  boolean,
  constantFrom,
  nat,
  oneof,
  record,
} from 'fast-check';
import { expect, test } from 'vitest';
import { batchOf, TableChangesBuilder } from '../support/changes.ts';
import { SourceTable, type TableStep } from '../support/source-table.ts';
import { byText } from './sink-crash.ts';
import { SIGNAL, SinkUnderTest, type SinkFactory } from './sink-under-test.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 6);

const names = ['a', 'b', 'c'] as const;
const name = constantFrom(...names);
const step = oneof(
  {
    weight: 5,
    arbitrary: record({ kind: constantFrom('upsert' as const), id: nat(5), value: nat(99) }),
  },
  { weight: 1, arbitrary: record({ kind: constantFrom('delete' as const), id: nat(5) }) },
  {
    weight: 2,
    arbitrary: record({
      kind: constantFrom('add' as const),
      name,
      type: constantFrom('int16' as const, 'int32' as const, 'string' as const),
      filled: boolean(),
    }),
  },
  { weight: 2, arbitrary: record({ kind: constantFrom('drop' as const), name }) },
  { weight: 2, arbitrary: record({ kind: constantFrom('widen' as const), name }) },
  { weight: 1, arbitrary: record({ kind: constantFrom('rename' as const), name, to: name }) },
);

export function sinkEvolution(factory: SinkFactory): void {
  test(`streamed schema changes make the table that a rebuild from the final schema makes (SEED=${seed})`, async () => {
    const end = performance.now() + seconds * 1000;
    const deletes = constantFrom('hard' as const, 'soft' as const);
    await assert(
      asyncProperty(
        array(step, { minLength: 1, maxLength: 40 }),
        array(nat(40), { maxLength: 5 }),
        deletes,
        async (steps, cuts, deletes) => {
          if (performance.now() > end) return;
          await compare(factory, { steps, cuts, deletes });
        },
      ),
      { seed, numRuns: 10_000 },
    );
  });
}

async function compare(
  factory: SinkFactory,
  {
    steps,
    cuts,
    deletes,
  }: {
    readonly steps: readonly TableStep[];
    readonly cuts: readonly number[];
    readonly deletes: 'hard' | 'soft';
  },
): Promise<void> {
  const source = new SourceTable('shop.public.orders');
  await using streamed = await SinkUnderTest.open(factory, {
    delete: deletes,
    shape: source.shape,
  });
  const records = [];
  for (const [index, step] of steps.entries()) {
    const change = source.apply(step, 2 * index + 1);
    const builder = await TableChangesBuilder.register(source.shape, streamed.registry);
    if (change !== null) records.push(builder.record(change));
    // That a column is gone is seen in a row only, and one of its name may come back. One that comes with
    // a default while another goes would look like a rename, which is not filled.
    const told =
      step.kind === 'drop' || step.kind === 'rename' || (step.kind === 'add' && step.filled);
    if (!told) continue;
    records.push(builder.record(source.upsert(8, { value: index, version: 2 * index + 2 })));
  }
  // One last row of the final schema: a schema without rows is not on a topic.
  const last = await TableChangesBuilder.register(source.shape, streamed.registry);
  records.push(last.record(source.upsert(9, { value: 1, version: 2 * steps.length + 1 })));
  const bounds = [0, ...cuts.map((at) => Math.min(at, records.length)), records.length];
  const sorted = bounds.toSorted((one, other) => one - other);
  for (const [index, from] of sorted.slice(0, -1).entries()) {
    const part = records.slice(from, sorted[index + 1]);
    if (part.length === 0) continue;
    const batch = batchOf(part, { topic: last.topic, base: from, segmentRecords: 4 });
    expect((await streamed.sink.write([batch], SIGNAL)).refused).toEqual([]);
  }

  await using rebuilt = await SinkUnderTest.open(factory, { delete: deletes, shape: source.shape });
  await rebuilt.sink.write([rebuilt.batch(source.rows())], SIGNAL);
  const columns = [...source.shape.columns.map((column) => column.name), '_version'];
  const live = deletes === 'soft' ? [...columns, '_deleted'] : columns;
  const found = await streamed.rows(...live);
  const kept = deletes === 'soft' ? found.filter((row) => row.at(-1) === 'false') : found;
  expect(kept.toSorted(byText)).toEqual((await rebuilt.rows(...live)).toSorted(byText));
}
