import { afterAll, beforeAll, expect, test } from 'vitest';
import { captured } from './support/carried-values.ts';
import { startPostgres, type TestPostgres } from './support/postgres.ts';

/**
 * What other systems were measured to get wrong or to lose about changes, one test each: keys, headers,
 * transactions, names. Values are in peers-values.pg.test.ts.
 *
 * Elsewhere: a TOAST value follows its row to the new key in processors/compact/whole-row.test.ts; a table
 * that was renamed before its first row was read, and the text of keys in headers, in golden-replay.pg.test.ts.
 */
let server: TestPostgres;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

test('REPLICA IDENTITY USING INDEX without the key is refused with the remedy, no key is made up', async () => {
  await expect(
    captured(
      server,
      `create table t (id int primary key, code text not null unique);
       alter table t replica identity using index t_code_key; insert into t values (5, 'c')`,
      'delete from t',
    ),
  ).rejects.toMatchObject({ code: 'SOURCE_IDENTITY' });
});

test('REPLICA IDENTITY USING INDEX with the key in it has real keys, also when the key changes', async () => {
  const seen = await captured(
    server,
    `create table t (id int primary key, code text not null, v text);
     create unique index t_both on t (id, code);
     alter table t replica identity using index t_both; insert into t values (1, 'c', 'v')`,
    'update t set id = 5; delete from t',
  );
  expect(seen.map(({ op, key }) => [op, key])).toEqual([
    ['r', { id: 1 }],
    ['d', { id: 1 }],
    ['tombstone', { id: 1 }],
    ['c', { id: 5 }],
    ['d', { id: 5 }],
    ['tombstone', { id: 5 }],
  ]);
});

test('headers about a changed key have every digit of it, as the key has', async () => {
  const seen = await captured(
    server,
    `create table t (k numeric(38,10) primary key, v text);
     insert into t values (1234567890123456789012345678.0123456789, 'x')`,
    'update t set k = k + 0.0000000001',
  );
  const [gone, , come] = seen.slice(1);
  const digits = '1234567890123456789012345678.01234567';
  expect(gone).toMatchObject({ op: 'd', headers: { '__debezium.newkey': `{"k":${digits}90}` } });
  expect(come).toMatchObject({ op: 'c', headers: { '__debezium.oldkey': `{"k":${digits}89}` } });
});

test('a transaction has one id, in BEGIN, in all its events, in its messages and in END', async () => {
  const seen = await captured(
    server,
    'create table t (id int primary key); create table t_other (id int primary key); insert into t values (1)',
    `begin; insert into t values (2); select pg_logical_emit_message(true, 'p', 'x');
     insert into t_other values (1); update t set id = 3 where id = 2; commit`,
    { provideTransactionMetadata: true },
  );
  const told = seen.filter(({ topic }) => topic === 'shop.transaction').map(({ value }) => value!);
  const [begin, end] = told;
  const id = begin!['id'];
  expect(id).toMatch(/^\d+:\d+$/);
  expect(end).toMatchObject({
    status: 'END',
    id,
    event_count: 5n,
    data_collections: [
      { data_collection: 'public.t', event_count: 3n },
      { data_collection: 'LOGICAL_DECODING_MESSAGE', event_count: 1n },
      { data_collection: 'public.t_other', event_count: 1n },
    ],
  });
  const blocks = seen.flatMap(({ value }) => value?.['transaction'] ?? []) as {
    id: string;
    total_order: bigint;
  }[];
  expect(new Set(blocks.map((block) => block.id))).toEqual(new Set([id]));
  expect(blocks.map(({ total_order }) => Number(total_order)).sort((a, b) => a - b)).toEqual([
    1, 2, 3, 4, 5,
  ]);
  expect(seen.find(({ op }) => op === 'r')?.value?.['transaction']).toBeNull();
});

test('the columns that a delete does not have are told apart from NULL', async () => {
  const seen = await captured(
    server,
    'create table t (id int primary key, n int); insert into t values (1, 1)',
    'delete from t',
  );
  expect(seen[1]).toMatchObject({ op: 'd', before: { id: 1, n: null }, unchanged: ['n'] });
});

test('a row that moves between partitions is a delete and a create of one topic', async () => {
  const seen = await captured(
    server,
    `create table t (id int, region text, primary key (id, region)) partition by list (region);
     create table part_eu partition of t for values in ('eu');
     create table part_us partition of t for values in ('us'); insert into t values (1, 'eu')`,
    `update t set region = 'us'`,
  );
  expect(seen.map(({ topic, op, key }) => [topic, op, key])).toEqual([
    ['shop.public.t', 'r', { id: 1, region: 'eu' }],
    ['shop.public.t', 'd', { id: 1, region: 'eu' }],
    ['shop.public.t', 'tombstone', { id: 1, region: 'eu' }],
    ['shop.public.t', 'c', { id: 1, region: 'us' }],
  ]);
});

test('a change has key, names, optionality and order of its moment, whatever the catalogue says since', async () => {
  const seen = await captured(
    server,
    `create table t (id int primary key, b text, a int not null default 7);
     insert into t values (1, 'x', 1)`,
    // One transaction: nothing of it can be read before all of it is in the catalogue.
    `insert into t values (2, 'y', 2); alter table t rename b to c; alter table t drop a;
     insert into t values (3, 'z')`,
  );
  expect(seen.map(({ op, key, after }) => [op, key, after])).toEqual([
    ['r', { id: 1 }, { id: 1, b: 'x', a: 1 }],
    ['c', { id: 2 }, { id: 2, b: 'y', a: 2 }],
    ['c', { id: 3 }, { id: 3, c: 'z' }],
  ]);
});

test('an ordinary record has no headers, where others spend 200 bytes on each', async () => {
  const seen = await captured(
    server,
    `create table t (id int primary key); insert into t values (1)`,
    'insert into t values (2)',
  );
  expect(seen.map(({ headers }) => headers)).toEqual([{}, {}]);
});

test('a truncate is captured, and a table without a key has no tombstones', async () => {
  const seen = await captured(
    server,
    `create table t (id int primary key); insert into t values (1);
     create table t_none (a int); alter table t_none replica identity full; insert into t_none values (1)`,
    'truncate t; delete from t_none',
  );
  expect(seen.map(({ op }) => op).toSorted()).toEqual(['d', 'r', 'r', 't']);
});

test('names that Avro does not allow are adjusted, or refused if they are not to be', async () => {
  const sql = `create table t ("ID part" int primary key, a_b int); insert into t values (1, 2)`;
  expect((await captured(server, sql, 'select 1'))[0]?.after).toEqual({ ID_part: 1, a_b: 2 });
  expect(
    (await captured(server, sql, 'select 1', { nameAdjustment: 'avro_unicode' }))[0]?.after,
  ).toEqual({
    ID_u0020part: 1,
    a_u005fb: 2,
  });
  await expect(captured(server, sql, 'select 1', { nameAdjustment: 'none' })).rejects.toMatchObject(
    {
      code: 'SCHEMA_INVALID',
    },
  );
});
