import {
  array,
  assert,
  asyncProperty,
  constantFrom,
  nat,
  record,
  subarray,
  tuple,
  type Arbitrary,
} from 'fast-check';
import { expect, test } from 'vitest';
import { byText } from './sink-crash.ts';
import { mergedRows, type ModelChange } from './sink-model.ts';
import { SIGNAL, SinkUnderTest, type SinkFactory } from './sink-under-test.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 6);
const run = { seed, numRuns: 10_000 };

/** Runs after the time is over do nothing: fast-check's own limit would abandon one in its middle. */
function deadline(): () => boolean {
  const end = performance.now() + seconds * 1000;
  return () => performance.now() > end;
}

/** What a step of a generated history does to a key; whether it is possible depends on what was before. */
interface Step {
  readonly id: number;
  readonly kind: 'upsert' | 'partial' | 'delete' | 'truncate';
  readonly value: number;
  readonly lacks: readonly ('a' | 'b')[];
}

const step = (kinds: readonly Step['kind'][]): Arbitrary<Step> =>
  record({
    id: nat(4),
    kind: constantFrom(...kinds),
    value: nat(99),
    lacks: subarray(['a', 'b'] as const, { minLength: 1 }),
  });

/** A history as a source would write it: versions rise, and only rows that exist change or go. */
function historyOf(steps: readonly Step[]): ModelChange[] {
  const live = new Set<number>();
  return steps.flatMap(({ id, kind, value, lacks }, index): ModelChange[] => {
    const version = index + 1;
    const row = { id, a: `a${value}`, b: BigInt(value) };
    if (kind === 'truncate') {
      live.clear();
      return [{ op: 't', version }];
    }
    if (kind === 'delete') {
      if (!live.delete(id)) return [];
      const sent = { ...row, ...Object.fromEntries(lacks.map((name) => [name, null])) };
      return [{ op: 'd', version, before: sent, unchanged: lacks }];
    }
    const isNew = !live.has(id);
    live.add(id);
    if (isNew || kind === 'upsert') return [{ op: isNew ? 'c' : 'u', version, after: row }];
    const sent = { ...row, ...Object.fromEntries(lacks.map((name) => [name, null])) };
    return [{ op: 'u', version, after: sent, unchanged: lacks }];
  });
}

async function tableAfter(
  factory: SinkFactory,
  deletes: 'hard' | 'soft',
  batches: readonly (readonly ModelChange[])[],
): Promise<(string | null)[][]> {
  await using under = await SinkUnderTest.open(factory, { delete: deletes });
  let wrote = false;
  for (const changes of batches) {
    const batch = under.batch(changes);
    wrote ||= changes.some(({ op }) => op !== 't');
    await under.sink.write([batch], SIGNAL);
    // The same offsets again: the ledger knows them.
    expect((await under.sink.write([batch], SIGNAL)).changes).toBe(0);
  }
  if (!wrote) return [];
  return await under.rows('id', 'a', 'b', '_version', ...(deletes === 'soft' ? ['_deleted'] : []));
}

/** Cuts a list into batches at places between 0 and 99 per cent of it. */
function cut<T>(list: readonly T[], places: readonly number[]): T[][] {
  const bounds = [
    0,
    ...places.map((place) => Math.floor((place * list.length) / 100)),
    list.length,
  ];
  const sorted = bounds.sort((one, other) => one - other);
  return sorted
    .slice(1)
    .map((end, index) => list.slice(sorted[index], end))
    .filter((part) => part.length > 0);
}

const deletes = constantFrom<'hard' | 'soft'>('hard', 'soft');
const cuts = array(nat(99), { maxLength: 6 });

export function sinkProperties(factory: SinkFactory): void {
  test(`whole rows in any order, any number of times, make the table of their order (SEED=${seed})`, async () => {
    const isOver = deadline();
    const steps = array(step(['upsert', 'upsert', 'delete', 'truncate']), { maxLength: 25 });
    // Places of the history in the order of delivery; some twice, some never.
    const order = array(nat(1000), { maxLength: 40 });
    await assert(
      asyncProperty(steps, order, cuts, deletes, async (steps, order, cuts, deletes) => {
        const history = historyOf(steps).map((change) => ({ ...change, unchanged: [] }));
        const whole = history.filter(({ op }) => op !== 'd' || deletes === 'hard');
        if (whole.length === 0 || isOver()) return;
        const delivered = order.map((place) => whole[place % whole.length] as ModelChange);
        const found = await tableAfter(factory, deletes, cut(delivered, cuts));
        expect(found.toSorted(byText)).toEqual(mergedRows(delivered, deletes).toSorted(byText));
      }),
      run,
    );
  });

  test(`a history with partial rows, parts of it delivered again, makes its table (SEED=${seed})`, async () => {
    const isOver = deadline();
    const steps = array(step(['upsert', 'partial', 'partial', 'delete', 'truncate']), {
      maxLength: 25,
    });
    // After so many changes, that many of those before come again.
    const again = array(tuple(nat(25), nat(8)), { maxLength: 4 });
    await assert(
      asyncProperty(steps, again, cuts, deletes, async (steps, again, cuts, deletes) => {
        if (isOver()) return;
        const history = historyOf(steps);
        const delivered = history.flatMap((change, index) => [
          change,
          ...again.flatMap(([after, count]) =>
            after === index ? history.slice(Math.max(0, index + 1 - count), index + 1) : [],
          ),
        ]);
        const found = await tableAfter(factory, deletes, cut(delivered, cuts));
        expect(found.toSorted(byText)).toEqual(mergedRows(history, deletes).toSorted(byText));
      }),
      run,
    );
  });
}
