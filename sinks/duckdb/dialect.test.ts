import { expect, test } from 'vitest';
import { mergeStatements } from '../apply.ts';
import type { Table } from '../dialect.ts';
import { duckdbDialect } from './dialect.ts';

const dialect = duckdbDialect('shop');
const orders: Table = {
  schema: 'public',
  name: 'orders',
  mode: 'merge',
  deletes: 'hard',
  key: ['id'],
  columns: [
    { name: 'id', type: 'BIGINT' },
    { name: 'a "b"', type: 'VARCHAR' },
  ],
};
const soft: Table = { ...orders, deletes: 'soft' };
const append: Table = { ...orders, mode: 'append', key: [] };
const batch = { guarded: false, areNew: false, partial: false, deletes: false, now: 5 };

test('a merge table is made with its version and with what remembers its deletes', () => {
  expect(dialect.createTable(orders)).toBe(
    [
      'CREATE SCHEMA IF NOT EXISTS "shop"."public"',
      'CREATE TABLE "shop"."public"."orders" ("id" BIGINT, "a ""b""" VARCHAR, "_version" BIGINT)',
      'CREATE OR REPLACE TABLE "shop"."_millrace"."tombstones:public.orders"' +
        ' ("id" BIGINT, "_version" BIGINT, "_deleted_at" BIGINT)',
    ].join(';\n'),
  );
});

test('other tables remember no deletes', () => {
  expect(dialect.createTable(soft)).not.toContain('tombstones');
  expect(dialect.createTable(append)).not.toContain('tombstones');
});

test('a batch above everything seen is deleted and inserted, and compared with nothing', () => {
  expect(mergeStatements(dialect, orders, batch)).toEqual({
    prepare: [],
    apply: [
      'DELETE FROM "shop"."public"."orders" AS t USING temp.main."stage:public.orders" AS s' +
        ' WHERE t."id" IS NOT DISTINCT FROM s."id"',
      'INSERT INTO "shop"."public"."orders" ("id", "a ""b""", "_version")' +
        ' SELECT "id", "a ""b""", "_version" FROM temp.main."stage:public.orders" WHERE NOT "_deleted"',
    ],
  });
});

test('a batch of keys that are all new is inserted only, and its deletes are remembered', () => {
  const all = { ...batch, areNew: true, guarded: true, partial: true, deletes: true };
  expect(mergeStatements(dialect, orders, all)).toEqual({
    prepare: [],
    apply: [dialect.insertStaged(orders), dialect.bury(orders, 5)],
  });
  expect(dialect.highest(orders, ['_version', 'id'])).toBe(
    'SELECT max(c0), max(c1) FROM (' +
      'SELECT max("_version") AS c0, max("id") AS c1 FROM "shop"."public"."orders" UNION ALL ' +
      'SELECT max("_version") AS c0, max("id") AS c1 FROM "shop"."_millrace"."tombstones:public.orders")',
  );
});

test('a batch that may hold stale rows is compared with the table and its tombstones first', () => {
  const { prepare, apply } = mergeStatements(dialect, orders, {
    ...batch,
    guarded: true,
    deletes: true,
  });
  expect(prepare).toEqual([
    {
      drops: true,
      sql:
        'DELETE FROM temp.main."stage:public.orders" AS s USING "shop"."public"."orders" AS t' +
        ' WHERE t."id" IS NOT DISTINCT FROM s."id" AND t."_version" >= s."_version"',
    },
    {
      drops: true,
      sql:
        'DELETE FROM temp.main."stage:public.orders" AS s USING "shop"."_millrace"."tombstones:public.orders" AS g' +
        ' WHERE g."id" IS NOT DISTINCT FROM s."id" AND g."_version" >= s."_version"',
    },
  ]);
  expect(apply[2]).toBe(
    'INSERT INTO "shop"."_millrace"."tombstones:public.orders" ("id", "_version", "_deleted_at")' +
      ' SELECT "id", "_version", 5 FROM temp.main."stage:public.orders" WHERE "_deleted"',
  );
});

test('a soft table has nothing to bury', () => {
  const all = { ...batch, guarded: true, deletes: true };
  const { prepare, apply } = mergeStatements(dialect, soft, all);
  expect([...prepare.map(({ sql }) => sql), ...apply].join('\n')).not.toContain('tombstones');
  expect(apply[1]).not.toContain('WHERE');
});

test('partial rows take the stored cells that are newer than the staged ones', () => {
  const { prepare } = mergeStatements(dialect, orders, { ...batch, partial: true });
  expect(prepare.map(({ sql }) => sql)).toEqual([
    'UPDATE temp.main."stage:public.orders" AS s SET "a ""b""" = CASE WHEN s."_cells"[2] <= t."_version"' +
      ' THEN t."a ""b""" ELSE s."a ""b""" END FROM "shop"."public"."orders" AS t' +
      ' WHERE t."id" IS NOT DISTINCT FROM s."id" AND s."_cells" IS NOT NULL',
  ]);
});

test('a truncate spares what is not older than it', () => {
  expect(dialect.truncate(orders, 7n)).toBe(
    'DELETE FROM "shop"."public"."orders" WHERE "_version" < 7',
  );
  expect(dialect.truncate(soft, 7n)).toBe(
    'UPDATE "shop"."public"."orders" SET "_deleted" = true WHERE "_version" < 7 AND NOT "_deleted"',
  );
});

test('a widened key column is widened where deletes are remembered too', () => {
  const id = { name: 'id', type: 'BIGINT' };
  expect(dialect.alterType(orders, id).split(';\n')).toEqual([
    'ALTER TABLE "shop"."public"."orders" ALTER COLUMN "id" SET DATA TYPE BIGINT',
    'ALTER TABLE "shop"."_millrace"."tombstones:public.orders" ALTER COLUMN "id" SET DATA TYPE BIGINT',
  ]);
  expect(dialect.alterType(soft, id)).not.toContain('tombstones');
});

test.each([
  ['SMALLINT', 'BIGINT', 'BIGINT'],
  ['INTEGER', 'SMALLINT', 'INTEGER'],
  ['DOUBLE', 'FLOAT', 'DOUBLE'],
  ['DECIMAL(6,2)', 'DECIMAL(5,4)', 'DECIMAL(8,4)'],
  ['DECIMAL(38,2)', 'DECIMAL(5,4)', null],
  ['VARCHAR', 'JSON', null],
  ['INTEGER', 'DECIMAL(5,2)', 'DECIMAL(12,2)'],
  ['BIGINT', 'DOUBLE', null],
  ['INTEGER[]', 'BIGINT[]', null],
  ['UUID[]', 'UUID[]', 'UUID[]'],
])('what holds %s and %s is %s', (one, other, widest) => {
  expect(dialect.widest(one, other)).toBe(widest);
  expect(dialect.widest(other, one)).toBe(widest);
});

test.each(['SMALLINT', 'INTEGER', 'BIGINT', 'DECIMAL(9,2)'])(
  '%s may become text, and text no number',
  (number) => {
    expect(dialect.widest(number, 'VARCHAR')).toBe('VARCHAR');
    expect(dialect.widest('VARCHAR', number)).toBeNull();
  },
);
