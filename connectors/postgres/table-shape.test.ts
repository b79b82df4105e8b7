import { expect, test } from 'vitest';
import { copySelect } from './copy-binary.ts';
import { tableShape } from './table-shape.ts';
import type { PgTable, PgType } from './table.ts';
import { DEFAULT_MODES } from './types/modes.ts';

const form = { prefix: 'shop', modes: DEFAULT_MODES, names: 'avro' } as const;

const plain = (oid: number, name: string, modifier = -1): PgType => ({
  oid,
  name,
  modifier,
  labels: null,
  element: null,
});

const table = (columns: readonly [string, PgType][], key: string[] = []): PgTable => ({
  oid: 1,
  schema: 'public',
  name: 'my table',
  columns: columns.map(([name, type]) => ({ name, type, optional: true })),
  key,
  identity: 'default',
});

test('a table has a topic, the semantic types of its columns, and notes on what travels as text', () => {
  const { shape, notes } = tableShape(
    table(
      [
        ['id', plain(20, 'bigint')],
        ['at', plain(1184, 'timestamp(3) with time zone', 3)],
        ['ip', plain(4089, 'regclass')],
        ['ci', plain(90_000, 'public.citext')],
        ['round', plain(1700, 'numeric(5,-2)', (5 << 16) + (-2 & 0x7ff) + 4)],
        ['ips', { ...plain(2207, 'regtype[]'), element: plain(2206, 'regtype') }],
        ['mood', { ...plain(90_001, 'mood'), labels: ['sad', 'ok'] }],
      ],
      ['id'],
    ),
    form,
  );
  expect(shape.topic).toBe('shop.public.my_table');
  expect(shape.key).toEqual(['id']);
  expect(shape.columns.map(({ name, optional, type }) => [name, optional, type.kind])).toEqual([
    ['id', false, 'int64'],
    ['at', true, 'zoned-timestamp'],
    ['ip', true, 'string'],
    ['ci', true, 'string'],
    ['round', true, 'variable-decimal'],
    ['ips', true, 'string'],
    ['mood', true, 'enum'],
  ]);
  expect(notes).toEqual([
    'ip: regclass travels as text',
    'round: numeric(5,-2) travels with a scale per value: Avro has no such decimal',
    'ips: regtype[] travels as text',
  ]);
});

test('a snapshot selects what is only known as text as text', () => {
  const columns = table([
    ['id', plain(20, 'bigint')],
    ['i"p', plain(2205, 'regclass')],
  ]);
  expect(copySelect(columns)).toBe(
    `"id", CASE num_nulls("i""p") WHEN 0 THEN format('%s', "i""p") END`,
  );
});

test('two columns of one name on the topic are refused, not merged', () => {
  const clashing = table([
    ['a b', plain(25, 'text')],
    ['a_b', plain(25, 'text')],
  ]);
  expect(() => tableShape(clashing, form)).toThrow(/"a b" and "a_b" are both a_b/);
});
