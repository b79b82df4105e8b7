import { afterAll, beforeAll, expect, test } from 'vitest';
import { encode, record, seen } from '../../tests/support/recorded-changes.ts';
import { decode, encoderContext, pushAll, recordsOf } from '../../tests/support/recorded-stream.ts';
import { startDatabase, type TestDatabase } from '../../tests/support/postgres.ts';
import { tableOfRelation } from './relation.ts';
import { PUSHED } from './pushed.ts';
import { StreamEncoder } from './stream-encoder.ts';
import { openTableEncoder } from './table-encoder.ts';

let server: TestDatabase;

beforeAll(async () => {
  server = await startDatabase();
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

test('the position names the commit and counts the row changes of the transaction', async () => {
  const { messages, tables } = await record(server.client, [
    'create table t(id int primary key)',
    'insert into t select g from generate_series(1, 3) g',
    'delete from t where id = 2',
  ]);
  const positions: [number, boolean][] = [];
  const encoder = await pushAll(messages, {
    context: encoderContext(),
    tables,
    each: ({ ordinal, inTransaction }) => positions.push([ordinal, inTransaction]),
  });
  expect(positions).toEqual([
    [0, true], // begin
    [0, true], // relation
    [1, true],
    [2, true],
    [3, true],
    [3, false],
    [0, true],
    [1, true],
    [1, false],
  ]);
  expect(encoder.changes).toBe(4);
  expect(encoder.endLsn).toBeGreaterThan(encoder.commitLsn);
  expect(Math.abs(Date.now() - (encoder.committedAt ?? 0))).toBeLessThan(60_000);
});

test('versions are the LSNs of the changes and rise along a transaction', async () => {
  const { messages, tables } = await record(server.client, [
    'create table t(id int primary key)',
    'begin; insert into t values (1); insert into t values (2); update t set id = 3 where id = 2; commit',
  ]);
  const context = encoderContext();
  await pushAll(messages, { context, tables });
  const versions = seen(context).map(({ version }) => version);
  const lsns = messages
    .filter(({ bytes }) => 'IU'.includes(String.fromCharCode(bytes[0]!)))
    .map(({ lsnHigh, lsnLow }) => (BigInt(lsnHigh) << 32n) | BigInt(lsnLow >>> 0));
  // The moved row is a delete, its tombstone and a create, all of one version.
  expect(versions).toEqual([lsns[0], lsns[1], lsns[2], lsns[2], lsns[2]]);
  expect(lsns).toEqual([...lsns].sort((a, b) => (a < b ? -1 : 1)));
  const sources = recordsOf(context.buffer).map(({ value }) =>
    value === null ? null : (decode(context.registry, value)['source'] as { lsn: bigint }).lsn,
  );
  expect(sources).toEqual([lsns[0], lsns[1], lsns[2], null, lsns[2]]);
});

test('rows are read as the table was at their moment, whatever the catalogue says by then', async () => {
  const changes = await encode(server.client, [
    'create table t(id int primary key, a int, gone text)',
    `insert into t values (1, 1, 'g')`,
    `alter table t add column n1 text default 'dflt'`,
    `insert into t values (2, 2, 'g', 'new')`,
    'alter table t drop column gone',
    'alter table t alter a type bigint',
    `insert into t values (3, 5000000000, 'y')`,
    'alter table t rename column n1 to n2',
    `insert into t values (4, 4, 'z')`,
    'alter table t add column req int not null default 9',
    'alter table t alter a type text',
    `begin; insert into t values (5, 'pre', 'z', 1); alter table t add column d numeric(10, 2);
     insert into t values (6, 'post', 'z', 1, 1.25); commit`,
    'alter table t rename column id to key',
    `insert into t values (7, 'renamed', 'z', 1, null)`,
    'alter table t drop column n2',
  ]);
  expect(changes.map(({ key, after }) => [key, after])).toEqual([
    [{ id: 1 }, { id: 1, a: 1, gone: 'g' }],
    [{ id: 2 }, { id: 2, a: 2, gone: 'g', n1: 'new' }],
    [{ id: 3 }, { id: 3, a: 5_000_000_000n, n1: 'y' }],
    [{ id: 4 }, { id: 4, a: 4n, n2: 'z' }],
    [{ id: 5 }, { id: 5, a: 'pre', n2: 'z', req: 1 }],
    [{ id: 6 }, { id: 6, a: 'post', n2: 'z', req: 1, d: Buffer.of(125) }],
    [{ key: 7 }, { key: 7, a: 'renamed', n2: 'z', req: 1, d: null }],
  ]);
});

test('a null in a column that was made NOT NULL only later stays null', async () => {
  const changes = await encode(server.client, [
    'create table t(id int primary key, a int, b text); alter table t replica identity full',
    `insert into t values (1, null, 'x')`,
    `update t set a = 7 where id = 1`,
    'insert into t values (2, 8, null)',
    `update t set b = '' where b is null; alter table t alter a set not null, alter b set not null`,
  ]);
  expect(changes.map(({ op, before, after }) => [op, before, after])).toEqual([
    ['c', null, { id: 1, a: null, b: 'x' }],
    ['u', { id: 1, a: null, b: 'x' }, { id: 1, a: 7, b: 'x' }],
    ['c', null, { id: 2, a: 8, b: null }],
    ['u', { id: 2, a: 8, b: null }, { id: 2, a: 8, b: '' }],
  ]);
});

test('a change that waits for its table is not part of the place yet', async () => {
  const { messages, tables } = await record(server.client, [
    'create table t(id int primary key, a int)',
    'begin; insert into t values (1, 1); insert into t values (2, null); commit',
    'update t set a = 0 where a is null; alter table t alter a set not null',
  ]);
  const context = encoderContext();
  const encoder = new StreamEncoder({ resume: null });
  encoder.processedAt(1);
  const places: [string, number, number][] = [];
  for (const message of messages) {
    if (encoder.push(message) !== PUSHED.needsTable) continue;
    const relation = encoder.relation!;
    places.push(['waiting', encoder.ordinal, seen(context).length]);
    const table = tableOfRelation(relation, await tables(relation));
    encoder.define(relation.oid, await openTableEncoder(table, context));
    places.push(['defined', encoder.ordinal, seen(context).length]);
    if (places.length === 4) break;
  }
  expect(places).toEqual([
    ['waiting', 0, 0],
    ['defined', 0, 0],
    ['waiting', 1, 1],
    ['defined', 2, 2],
  ]);
});

test('a domain, an enum and an array are read through the catalogue', async () => {
  const changes = await encode(server.client, [
    `create type mood as enum ('sad', 'ok'); create domain price as numeric(8, 3);
     create table t(id int primary key, m mood, p price, a price[], e mood[])`,
    `insert into t values (1, 'ok', 1.5, null, '{sad,NULL}')`,
  ]);
  expect(changes[0]?.after).toEqual({
    id: 1,
    m: 'ok',
    p: Buffer.of(0x05, 0xdc),
    a: null,
    e: ['sad', null],
  });
});

test('a binary stream is refused for a column that only text tells, and a text stream carries it', async () => {
  const statements = [
    'create table t(id int primary key, ip inet, q tsquery, r int4range)',
    `insert into t values (1, '10.0.0.1', 'a & b', '[1,5)')`,
  ];
  await expect(encode(server.client, statements)).rejects.toMatchObject({
    code: 'SOURCE_FORMAT',
    place: expect.stringMatching(/^s\d+\.t, column q$/),
  });
  const { messages, tables } = await record(server.client, statements, false);
  const context = encoderContext();
  await pushAll(messages, { context, tables });
  expect(seen(context)[0]?.after).toEqual({
    id: 1,
    ip: '10.0.0.1',
    q: "'a' & 'b'",
    r: '[1,5)',
  });
});

test('tables that are not captured are counted and written nowhere', async () => {
  const { messages, tables } = await record(server.client, [
    'create table t(id int primary key); create table other(id int primary key)',
    'begin; insert into other values (1); insert into t values (1); commit',
  ]);
  const context = encoderContext();
  const encoder = new StreamEncoder({ resume: null });
  encoder.processedAt(1);
  for (const message of messages) {
    if (encoder.push(message) !== PUSHED.needsTable) continue;
    const { oid, name } = encoder.relation!;
    const table = await tables(encoder.relation!);
    encoder.define(oid, name === 'other' ? null : await openTableEncoder(table!, context));
  }
  expect([encoder.ordinal, encoder.changes]).toEqual([2, 1]);
  expect(seen(context).map(({ key }) => key)).toEqual([{ id: 1 }]);
});

test('messages cut short or of an unknown kind are refused, never read past their end', async () => {
  const { messages, tables } = await record(server.client, [
    'create table t(id int primary key, v text); alter table t replica identity full',
    `insert into t values (1, 'hello')`,
    `update t set v = 'world'`,
    'truncate t',
  ]);
  for (const [index, message] of messages.entries()) {
    for (let end = 1; end < message.end; end++) {
      const bytes = Buffer.concat([message.bytes.subarray(0, end), Buffer.alloc(64, 0x41)]);
      const cut = [...messages.slice(0, index), { ...message, bytes, end }];
      await expect(
        pushAll(cut, { context: encoderContext(), tables }),
        `message ${index} cut at ${end}`,
      ).rejects.toMatchObject({ code: 'PROTOCOL_UNEXPECTED' });
    }
  }
  const odd = { ...messages[0]!, bytes: Buffer.from('?'), end: 1 };
  expect(() => new StreamEncoder({ resume: null }).push(odd)).toThrow(/kind 63/);
});
