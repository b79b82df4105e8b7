import { expect, test } from 'vitest';
import { failpoints } from '../../runtime/failpoints.ts';
import { startPostgres } from '../support/postgres.ts';
import { Workload, type Step } from '../support/workload.ts';

const long = (...ids: readonly number[]): Step[] =>
  ids.map((id) => ({ do: 'put', id, body: 'long' }));
const move = (...ids: readonly number[]): Step[] =>
  ids.slice(1).map((to, index) => ({ do: 'move', id: ids[index] ?? 0, to }));
const touch = (id: number): Step => ({ do: 'touch', id });
const commit: Step = { do: 'commit' };
const crash = (at: (typeof failpoints)[number]): Step => ({
  do: 'crash',
  at: failpoints.indexOf(at),
});

/** Each is one transaction on rows 20 to 29, whose long values no update sends. */
const transactions: readonly (readonly Step[])[] = [
  long(20, 21, 22, 23, 24, 25, 26, 27, 28, 29),
  // A chain, with changes on the way.
  [...move(20, 120, 220), touch(220), ...move(220, 320)],
  [touch(320)],
  [touch(320)],
  // There and back.
  [...move(21, 121, 21)],
  [touch(21)],
  // Two rows trade places.
  [...move(22, 999), ...move(23, 22), ...move(999, 23)],
  [touch(22), touch(23)],
  // Gone as soon as it has moved, and the old key again by another row.
  [...move(24, 124), { do: 'delete', id: 124 }, ...move(25, 24)],
  // Many at once, each into the place that the one before has left.
  [...move(26, 126), ...move(27, 26), ...move(28, 27), ...move(29, 28)],
  [touch(126), touch(26), touch(27), touch(28)],
];

test.each([1, 2, 5])(
  'rows that change their key keep their long values all the way to DuckDB, over %i partitions',
  async (partitions) => {
    await using server = await startPostgres();
    await using workload = await Workload.open(server, { partitions, isFull: false });
    // What comes after it comes by the stream.
    for (const step of [...long(19), commit]) await workload.perform(step);
    await workload.applied(19);
    const crashes = ['processor.processed', 'processor.published', 'source.published'] as const;
    for (const [index, steps] of transactions.entries()) {
      const at = crashes[index % 4];
      if (at !== undefined) await workload.perform(crash(at));
      for (const step of [...steps, commit]) await workload.perform(step);
    }
    expect(await workload.outcome()).toMatchObject({ equal: true, first: null });
  },
  120_000,
);
