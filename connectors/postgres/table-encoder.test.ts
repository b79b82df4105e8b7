import { afterAll, beforeAll, expect, test } from 'vitest';
import { encode, record, seen } from '../../tests/support/recorded-changes.ts';
import { decode, encoderContext, pushAll, recordsOf } from '../../tests/support/recorded-stream.ts';
import { startDatabase, type TestDatabase } from '../../tests/support/postgres.ts';

let server: TestDatabase;

beforeAll(async () => {
  server = await startDatabase();
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const BIG = `repeat('abcdefgh', 1500)`;

test('an unchanged TOAST value is a placeholder, and a header names its column', async () => {
  const changes = await encode(server.client, [
    `create table t(id int primary key, n int, big text, bytes bytea not null, num numeric);
     alter table t alter big set storage external, alter bytes set storage external, alter num set storage external`,
    `insert into t values (1, 1, ${BIG}, convert_to(${BIG}, 'UTF8'), ('1' || repeat('23456789', 1500))::numeric)`,
    'update t set n = 2',
    'update t set id = 10',
    `update t set big = 'small'`,
    'delete from t',
  ]);
  const placeholder = '__debezium_unavailable_value';
  const [insert, update, leave, tombstone, arrive, shrink, gone] = changes;
  expect(insert?.unchanged).toBeNull();
  expect(update).toMatchObject({
    op: 'u',
    before: null,
    after: { id: 1, n: 2, big: placeholder, bytes: Buffer.from(placeholder), num: null },
    unchanged: ['big', 'bytes', 'num'],
  });
  expect(leave).toMatchObject({
    op: 'd',
    key: { id: 1 },
    before: { id: 1, n: null, big: null, bytes: Buffer.alloc(0) },
    unchanged: ['n', 'big', 'bytes', 'num'],
  });
  expect(tombstone).toMatchObject({ op: 'tombstone', key: { id: 1 } });
  expect(arrive).toMatchObject({
    op: 'c',
    key: { id: 10 },
    after: { id: 10, big: placeholder },
    unchanged: ['big', 'bytes', 'num'],
  });
  expect(shrink).toMatchObject({ after: { big: 'small' }, unchanged: ['bytes', 'num'] });
  expect(gone).toMatchObject({ op: 'd', key: { id: 10 }, unchanged: ['n', 'big', 'bytes', 'num'] });
});

test('with full identity an unchanged TOAST value is taken from the old row', async () => {
  const changes = await encode(server.client, [
    `create table t(id int primary key, n int, big text); alter table t alter big set storage external;
     alter table t replica identity full`,
    `insert into t values (1, null, ${BIG})`,
    'update t set n = 2',
    'update t set id = 10',
    'delete from t',
  ]);
  const big = 'abcdefgh'.repeat(1500);
  expect(changes.slice(1).map(({ op, before, after }) => ({ op, before, after }))).toEqual([
    { op: 'u', before: { id: 1, n: null, big }, after: { id: 1, n: 2, big } },
    { op: 'd', before: { id: 1, n: 2, big }, after: null },
    { op: 'tombstone', before: null, after: null },
    { op: 'c', before: null, after: { id: 10, n: 2, big } },
    { op: 'd', before: { id: 10, n: 2, big }, after: null },
    { op: 'tombstone', before: null, after: null },
  ]);
  expect(changes.every(({ unchanged }) => unchanged === null)).toBe(true);
});

test('a key that lies out of line and did not change is still the whole key', async () => {
  const changes = await encode(server.client, [
    'create table t(id text primary key, n int); alter table t alter id set storage external',
    `insert into t values (repeat('abcdefg', 330), 1)`,
    'update t set n = 2',
  ]);
  expect(changes[1]).toMatchObject({
    op: 'u',
    key: { id: 'abcdefg'.repeat(330) },
    after: { id: 'abcdefg'.repeat(330), n: 2 },
    unchanged: null,
  });
});

test('an identity by index that has the primary key is enough to move and delete a row', async () => {
  const changes = await encode(server.client, [
    `create table t(id int primary key, code text not null, v text, unique (code, id));
     alter table t replica identity using index t_code_id_key`,
    `insert into t values (1, 'a', 'v')`,
    `update t set code = 'b'`,
    'update t set id = 2',
    'delete from t',
  ]);
  expect(changes.map(({ op, key }) => [op, (key as { id: number }).id])).toEqual([
    ['c', 1],
    ['u', 1],
    ['d', 1],
    ['tombstone', 1],
    ['c', 2],
    ['d', 2],
    ['tombstone', 2],
  ]);
  expect(changes[5]).toMatchObject({ before: { id: 2, code: 'b', v: null }, unchanged: ['v'] });
});

test.each(['delete from t', `update t set v = 'w'`, 'update t set id = 5'])(
  'an identity by index without the primary key is refused with the SQL that mends it: %s',
  async (statement) => {
    const failed = encode(server.client, [
      `create table t(id int primary key, code text not null unique, v text);
       alter table t replica identity using index t_code_key`,
      `insert into t values (1, 'a', 'v')`,
      statement,
    ]);
    await expect(failed).rejects.toMatchObject({
      code: 'SOURCE_IDENTITY',
      remedy: expect.stringMatching(/^ALTER TABLE "s\d+"\."t" REPLICA IDENTITY DEFAULT;/),
    });
  },
);

test('a table without a key has one partition, null keys and no tombstones', async () => {
  const changes = await encode(
    server.client,
    [
      'create table t(a int, b text); alter table t replica identity full',
      `insert into t values (1, 'x'), (1, 'x')`,
      `update t set b = null where ctid = '(0,1)'`,
      'delete from t',
    ],
    { partitions: 4 },
  );
  expect(changes.map(({ op, key }) => [op, key])).toEqual([
    ['c', null],
    ['c', null],
    ['u', null],
    ['d', null],
    ['d', null],
  ]);
  expect(changes[2]).toMatchObject({ before: { a: 1, b: 'x' }, after: { a: 1, b: null } });
});

test('a truncate goes to every partition of every captured table of the statement', async () => {
  const { messages, tables } = await record(server.client, [
    'create table t(id int primary key); create table u(id int primary key)',
    'insert into t select g from generate_series(1, 40) g',
    'truncate t, u',
  ]);
  const context = encoderContext({ partitions: 3 });
  const encoder = await pushAll(messages, { context, tables });
  const truncated = recordsOf(context.buffer).filter(({ op }) => op === 't');
  expect(
    truncated.map(({ topic, partition }) => `${topic.split('.')[2]}${partition}`).sort(),
  ).toEqual(['t0', 't1', 't2', 'u0', 'u1', 'u2']);
  expect(truncated.every(({ key }) => key === null)).toBe(true);
  expect(decode(context.registry, truncated[0]!.value!)).toMatchObject({
    before: null,
    after: null,
    op: 't',
  });
  expect(encoder.changes).toBe(42);
});

test('tombstones can be left out', async () => {
  const changes = await encode(
    server.client,
    ['create table t(id int primary key)', 'insert into t values (1)', 'delete from t'],
    { tombstones: false },
  );
  expect(changes.map(({ op }) => op)).toEqual(['c', 'd']);
});

test('a value that its type on the topic cannot say is null there, and its text is in a header', async () => {
  for (const [type, value, inEnvelope] of [
    ['numeric', 'NaN', null],
    ['numeric(8,2)', 'NaN', null],
    ['numeric', '-Infinity', null],
    ['timestamp', '294276-12-31 23:59:59.999999', null],
    ['int[]', '{{1,2},{3,4}}', null],
    ['int[]', '[0:1]={7,8}', [7, 8]],
    ['interval', '1 mon', 2_629_800_000_000n],
    ['varbit(8)', '00101', Buffer.of(5)],
    ['numeric[]', '{1,NaN}', [{ scale: 0, value: Buffer.of(1) }, null]],
  ] as const) {
    for (const binary of [true, false]) {
      const { messages, tables } = await record(
        server.client,
        [
          `create table t(id int primary key, v ${type}, w ${type} not null default '${value}')`,
          'alter table t replica identity full',
          `insert into t values (1, null), (2, '${value}')`,
          'delete from t where id = 2',
        ],
        binary,
      );
      const context = encoderContext();
      await pushAll(messages, { context, tables });
      const records = recordsOf(context.buffer);
      const exact = records.map(({ headers }) =>
        headers?.find(({ name }) => name === 'millrace.exact')?.value?.toString(),
      );
      expect(exact, `${type} ${value}`).toEqual([
        JSON.stringify({ after: [['w', value]] }),
        JSON.stringify({
          after: [
            ['v', value],
            ['w', value],
          ],
        }),
        JSON.stringify({
          before: [
            ['v', value],
            ['w', value],
          ],
        }),
        undefined,
      ]);
      expect(seen(context)[1]?.after, `${type} ${value}`).toMatchObject({ v: inEnvelope });
    }
  }
});

test('a key that the topic cannot say keeps bytes of its own, and its text is in a header', async () => {
  const { messages, tables } = await record(server.client, [
    'create table t(k numeric primary key, v int)',
    `insert into t values ('NaN', 1), ('Infinity', 2), ('-Infinity', 3), (0, 4), (1, 5)`,
    `delete from t where k = 'NaN'`,
  ]);
  const context = encoderContext();
  await pushAll(messages, { context, tables });
  const records = recordsOf(context.buffer);
  expect(new Set(records.map(({ key }) => key?.toString('hex'))).size).toBe(5);
  expect(records[5]?.key).toEqual(records[0]?.key);
  expect(records[5]?.headers?.map(({ name, value }) => [name, String(value)])).toContainEqual([
    'millrace.exact',
    JSON.stringify({ key: [['k', 'NaN']], before: [['k', 'NaN']] }),
  ]);
});

test('a key whose bytes another key would have stops with table and column, and leaves no half record', async () => {
  const { messages, tables } = await record(server.client, [
    'create table t(k int[] primary key, v int)',
    `insert into t values ('{1}', 1)`,
    `update t set k = '[0:0]={1}'`,
  ]);
  const context = encoderContext({ partitions: 5 });
  await expect(pushAll(messages, { context, tables })).rejects.toMatchObject({
    code: 'VALUE_UNSUPPORTED',
    place: expect.stringMatching(/^s\d+\.t, column k$/),
  });
  expect(seen(context).map(({ op }) => op)).toEqual(['c']);
});
