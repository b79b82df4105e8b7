import { expect, test } from 'vitest';
import type { Relation, RelationColumn } from './pgoutput.ts';
import { tableOfRelation } from './relation.ts';
import type { PgTable, PgType, ReplicaIdentity } from './table.ts';

const type = (oid: number, more: Partial<PgType> = {}): PgType => ({
  oid,
  modifier: -1,
  name: `t${oid}`,
  labels: null,
  element: null,
  ...more,
});

const relationOf = (
  columns: readonly (Pick<RelationColumn, 'name' | 'type'> & Partial<RelationColumn>)[],
  identity: ReplicaIdentity = 'default',
): Relation => ({
  oid: 7,
  schema: 'public',
  name: 't',
  identity,
  columns: columns.map((column) => ({ modifier: -1, key: false, nullable: false, ...column })),
});

const tableOf = (columns: readonly [string, number, boolean][], key: string[]): PgTable => ({
  oid: 7,
  schema: 'public',
  name: 't',
  columns: columns.map(([name, oid, optional]) => ({ name, type: type(oid), optional })),
  key,
  identity: 'default',
});

test('names, types and order are the message’s, optionality and key order the catalogue’s', () => {
  const relation = relationOf([
    { name: 'b', type: 25, key: true },
    { name: 'a', type: 20, key: true },
    { name: 'c', type: 1700, modifier: 655_366 },
  ]);
  const catalogue = tableOf(
    [
      ['b', 25, false],
      ['c', 25, false],
      ['a', 20, false],
    ],
    ['a', 'b'],
  );
  const table = tableOfRelation(relation, catalogue);
  expect(table.key).toEqual(['a', 'b']);
  expect(table.columns.map(({ name, optional, type }) => [name, optional, type.oid])).toEqual([
    ['b', false, 25],
    ['a', false, 20],
    ['c', false, 1700],
  ]);
  expect(table.columns[2]?.type).toMatchObject({ modifier: 655_366, name: 'numeric' });
});

test('a default is of the column of its name, not of one that stands in its place since', () => {
  const relation = relationOf([
    { name: 'id', type: 23, key: true },
    { name: 'gone', type: 25 },
  ]);
  const catalogue = tableOf(
    [
      ['id', 23, false],
      ['added', 25, true],
    ],
    ['id'],
  );
  const columns = catalogue.columns.map((column) => ({ ...column, default: "'x'::text" }));
  const table = tableOfRelation(relation, { ...catalogue, columns });
  expect(table.columns.map((column) => column.default)).toEqual(["'x'::text", null]);
});

test('a column that the catalogue does not know is optional, whole tables too', () => {
  const relation = relationOf([
    { name: 'id', type: 23, key: true },
    { name: 'ids', type: 1007 },
  ]);
  const table = tableOfRelation(relation, null);
  expect(table.key).toEqual(['id']);
  expect(table.columns.map(({ optional }) => optional)).toEqual([false, true]);
  expect(table.columns[1]?.type.element).toMatchObject({ oid: 23 });
  expect(table.columns[1]?.type.name).toBe('integer[]');
});

test('a column renamed since keeps what the catalogue says of it, and its place in the key', () => {
  const relation = relationOf(
    [
      { name: 'old', type: 23 },
      { name: 'v', type: 25 },
    ],
    'full',
  );
  const table = tableOfRelation(
    relation,
    tableOf(
      [
        ['new', 23, false],
        ['v', 25, true],
      ],
      ['new'],
    ),
  );
  expect(table.key).toEqual(['old']);
  expect(table.columns.map(({ name, optional }) => [name, optional])).toEqual([
    ['old', false],
    ['v', true],
  ]);
});

test('the primary key of that moment wins over the one of now', () => {
  const relation = relationOf([
    { name: 'a', type: 23, key: true },
    { name: 'b', type: 23 },
  ]);
  const catalogue = tableOf(
    [
      ['a', 23, true],
      ['b', 23, false],
    ],
    ['b'],
  );
  expect(tableOfRelation(relation, catalogue).key).toEqual(['a']);
});

test('a key that cannot be told any more is refused', () => {
  const relation = relationOf([{ name: 'a', type: 23, key: true }], 'full');
  const catalogue = tableOf(
    [
      ['a', 23, true],
      ['id', 23, false],
    ],
    ['id'],
  );
  expect(() => tableOfRelation(relation, catalogue)).toThrow(
    expect.objectContaining({ code: 'SOURCE_TABLE_CHANGED', place: 'public.t' }),
  );
});

test('a column seen null is optional whatever the catalogue says', () => {
  const relation = relationOf([{ name: 'a', type: 23, nullable: true }]);
  const table = tableOfRelation(relation, tableOf([['a', 23, false]], []));
  expect(table.columns[0]?.optional).toBe(true);
});

test('a type that only the catalogue can name, such as a domain, is taken from it', () => {
  const relation = relationOf([
    { name: 'a', type: 70_000 },
    { name: 'b', type: 70_001 },
  ]);
  const table = tableOfRelation(relation, tableOf([['a', 23, false]], []));
  expect(table.columns.map(({ type }) => type.name)).toEqual(['t23', 'type 70001']);
});
