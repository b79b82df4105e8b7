import { assert, bigInt, boolean, integer, nat, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seed } from '../../tests/support/seed.ts';
import { position, type Position } from '../connector.ts';
import { formatLsn, parseLsn } from './lsn.ts';
import { COMPLETE, flushLsn, formatPosition, parsePosition } from './wal-position.ts';

const lsn = bigInt({ min: 1n, max: 2n ** 63n });
const ordinal = integer({ min: 0, max: COMPLETE });

describe('a position', () => {
  test('comes back from its text', () => {
    const state = {
      version: '1f',
      seen: '7:9:8',
      done: ['a."b"'],
      open: [{ unit: 'p.t', left: [{ after: ['é\n', ';'], until: null }], by: '"id" 23' }],
      emptied: [],
    };
    assert(
      property(lsn, ordinal, boolean(), nat(0xffff_ffff), (commitLsn, ordinal, early, timeline) => {
        const at = { commitLsn, ordinal, snapshot: early ? state : null, timeline };
        expect(parsePosition(formatPosition(at))).toEqual(at);
      }),
      { seed },
    );
  });

  test('has the order of commits and of changes within them as text', () => {
    assert(
      property(lsn, lsn, ordinal, ordinal, (left, right, first, second) => {
        const one = formatPosition({ commitLsn: left, ordinal: first, snapshot: null });
        const other = formatPosition({ commitLsn: right, ordinal: second, snapshot: null });
        const before = left < right || (left === right && first < second);
        expect(one < other).toBe(before);
      }),
      { seed },
    );
  });

  test('lets the server forget a transaction only when all of it is published', () => {
    expect(flushLsn({ commitLsn: 100n, ordinal: 5, snapshot: null })).toBe(100n);
    expect(flushLsn({ commitLsn: 100n, ordinal: COMPLETE, snapshot: null })).toBe(101n);
  });

  test('that is not ours is refused', () => {
    for (const text of ['', '12', '000000000193f2a8.fffffff', 'binlog.000001:4']) {
      expect(() => parsePosition(position(text))).toThrow(/not one of Postgres/);
    }
  });
});

test('an LSN is read and written as the server does', () => {
  expect(parseLsn('16/B374D848')).toBe(0x16b374d848n);
  expect(formatLsn(0x16b374d848n)).toBe('16/B374D848');
  expect(formatLsn(0n)).toBe('0/0');
});

test('each step of a copy is a later position, and a position without copies at the next commit is later still', () => {
  const job = {
    table: 'public.t',
    where: null,
    after: ['9'],
    rows: 9,
    paused: false,
    failure: null,
  };
  const at = { commitLsn: 100n, ordinal: COMPLETE, snapshot: null };
  const steps = [
    at,
    { ...at, copies: { step: 9, jobs: [job] } },
    { ...at, copies: { step: 10, jobs: [{ ...job, after: ['10'] }] } },
    { ...at, copies: { step: 16, jobs: [] } },
    { ...at, commitLsn: 101n },
  ].map(formatPosition);
  expect(steps.toSorted()).toEqual(steps);
  expect(new Set(steps).size).toBe(5);
  expect(parsePosition(steps[2] as Position).copies).toEqual({
    step: 10,
    jobs: [{ ...job, after: ['10'] }],
    cuts: [],
  });
});
