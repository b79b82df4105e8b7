import { array, assert, integer, property } from 'fast-check';
import { expect, test } from 'vitest';
import { seed } from '../../tests/support/seed.ts';
import type { SnapshotUnit } from './snapshot-ranges.ts';
import { SnapshotWork, type Claim } from './snapshot-work.ts';
import type { RangeBounds, SnapshotState } from './wal-position.ts';

const units = ['a', 'b', 'c'].map((name) => ({ name }) as SnapshotUnit);
const UNIT_ROWS = 40;

function workOf(state: Pick<SnapshotState, 'done' | 'open'>): SnapshotWork {
  const whole = { version: '0', seen: '', emptied: [], ...state };
  return new SnapshotWork(units, { state: whole, bounds: new Map([['b', 'file']]) });
}

/** Numbers 1 to 40 of each unit lie in its ranges, as rows would. */
function rowsIn(unit: string, { after, until }: RangeBounds): string[] {
  const last = until === null ? UNIT_ROWS : Number(until[0]);
  const first = after === null ? 1 : Number(after[0]) + 1;
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => `${unit} ${first + i}`);
}

/** One life: claims and finishes as the numbers say, then dies with what was claimed. */
function live(
  state: Pick<SnapshotState, 'done' | 'open'>,
  acts: readonly number[],
): { rows: string[]; state: Pick<SnapshotState, 'done' | 'open'> } {
  const work = workOf(JSON.parse(JSON.stringify(state)));
  const claims: Claim[] = [];
  const rows: string[] = [];
  for (const act of acts) {
    const { gap } = work;
    if (act % 2 === 0 && gap !== null) {
      const last = gap.range.until === null ? UNIT_ROWS : Number(gap.range.until[0]);
      const next = Number(gap.range.after?.[0] ?? 0) + 1 + (act % 7);
      claims.push(work.claim(gap, next < last ? [String(next)] : gap.range.until));
    } else {
      const [claim] = claims.splice(act % Math.max(1, claims.length), 1);
      if (claim === undefined) continue;
      work.finish(claim);
      rows.push(...rowsIn(claim.unit.name, claim.range));
    }
  }
  return { rows, state: work.state };
}

test('whatever is finished in whatever order, over any number of lives, each row is read once', () => {
  const acts = array(integer({ min: 0, max: 1000 }), { maxLength: 40 });
  assert(
    property(array(acts, { maxLength: 6 }), (lives) => {
      let state: Pick<SnapshotState, 'done' | 'open'> = { done: [], open: [] };
      const rows: string[] = [];
      for (const each of lives) {
        const lived = live(state, each);
        rows.push(...lived.rows);
        state = lived.state;
      }
      // What the state says is left is all that was not read.
      const open = new Map(state.open.map(({ unit, left }) => [unit, left]));
      const whole = [{ after: null, until: null }];
      for (const { name } of units.filter((unit) => !state.done.includes(unit.name))) {
        rows.push(...(open.get(name) ?? whole).flatMap((range) => rowsIn(name, range)));
      }
      const all = units.flatMap(({ name }) => rowsIn(name, { after: null, until: null }));
      expect(rows.toSorted()).toEqual(all.toSorted());
    }),
    { seed },
  );
});

test('a unit is open with its file from its first finished range until its last', () => {
  const work = workOf({ done: ['a'], open: [] });
  const first = work.claim(work.gap!, ['10']);
  const second = work.claim(work.gap!, null);
  expect(work.state).toEqual({ done: ['a'], open: [] });
  work.finish(second);
  const left = [{ after: null, until: ['10'] }];
  expect(work.state).toEqual({ done: ['a'], open: [{ unit: 'b', left, by: 'file' }] });
  work.finish(first);
  expect(work.state).toEqual({ done: ['a', 'b'], open: [] });
  expect(work.gap?.unit.name).toBe('c');
});
