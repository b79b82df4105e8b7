import { describe, expect, test } from 'vitest';
import { MillraceError } from '../errors.ts';
import { widestType } from './duckdb/column-type.ts';
import {
  changeText,
  evolve,
  POLICIES,
  type ChangeKind,
  type Evolution,
  type Policy,
  type Rules,
} from './evolution.ts';

const stored = {
  columns: [
    { name: 'id', type: 'INTEGER' },
    { name: 'a', type: 'VARCHAR' },
    { name: 'n', type: 'INTEGER' },
  ],
  dropped: [] as string[],
};

/** What the source has after a change of each kind. */
const after: Readonly<Record<ChangeKind, typeof stored.columns>> = {
  add: [...stored.columns, { name: 'c', type: 'BOOLEAN' }],
  drop: stored.columns.slice(0, 2),
  widen: [...stored.columns.slice(0, 2), { name: 'n', type: 'BIGINT' }],
  rename: [...stored.columns.slice(0, 2), { name: 'm', type: 'INTEGER' }],
};

function ask(wanted: typeof stored.columns, rules: Rules, late = false): Evolution {
  const dialect = { widest: widestType };
  return evolve(stored, wanted, { dialect, rules, place: 'table public.t', late });
}

/** The kind of the one change, or how it is refused. */
function outcome(evolution: () => Evolution): string {
  try {
    return evolution()
      .changes.map(({ kind }) => kind)
      .join();
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return `${error.code} at ${error.place}`;
  }
}

const allowed: Readonly<Record<Policy, readonly ChangeKind[]>> = {
  evolve: ['add', 'drop', 'widen', 'rename'],
  additive: ['add', 'drop', 'rename'],
  freeze: [],
  stop: [],
};

const cases = POLICIES.flatMap((policy) =>
  (['add', 'drop', 'widen', 'rename'] as const).map((kind) => [policy, kind] as const),
);

describe('the policy', () => {
  test.each(cases)('%s says whether to %s', (policy, kind) => {
    const refused = policy === 'stop' ? 'SINK_CHANGE_STOPPED' : 'SINK_CHANGE_REFUSED';
    const expected = allowed[policy].includes(kind) ? kind : `${refused} at table public.t`;
    expect(outcome(() => ask(after[kind], { policy, allow: {} }))).toBe(expected);
  });

  test.each(cases)('%s gives way to what is said of %s', (policy, kind) => {
    const allow = { [kind]: true };
    expect(ask(after[kind], { policy, allow }).changes).toHaveLength(1);
    const deny = { [kind]: false };
    expect(() => ask(after[kind], { policy, allow: deny })).toThrow('refuses to');
  });

  test('has nothing to say where nothing changed', () => {
    for (const policy of POLICIES) {
      expect(ask(stored.columns, { policy, allow: {} }).changes).toEqual([]);
    }
  });

  test('is asked for late rows too', () => {
    expect(() => ask(after.add, { policy: 'freeze', allow: {} }, true)).toThrow('refuses to add');
    expect(ask(after.drop, { policy: 'freeze', allow: {} }, true).changes).toEqual([]);
  });
});

test('what cannot be done is a conflict under every policy', () => {
  const wanted = [...stored.columns.slice(0, 2), { name: 'n', type: 'UUID' }];
  for (const policy of POLICIES) {
    expect(() => ask(wanted, { policy, allow: {} })).toThrow(
      expect.objectContaining({ code: 'SINK_TABLE_CONFLICT' }),
    );
  }
});

test('a new name keeps the old column, and is said so', () => {
  const { changes, columns, dropped } = ask(after.rename, { policy: 'evolve', allow: {} });
  expect(columns.map(({ name }) => name)).toEqual(['id', 'a', 'n', 'm']);
  expect(dropped).toEqual(['n']);
  expect(changes.map(changeText)).toEqual([
    'add column m INTEGER and keep n, which it seems to be a new name of',
  ]);
});
