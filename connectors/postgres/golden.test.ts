import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AvroSchema } from '../../schemas/avro.ts';
import { readTable } from '../../tests/support/postgres-tables.ts';
import {
  avroType,
  decode,
  encoderContext,
  pushAll,
  recordedStream,
  recordsOf,
} from '../../tests/support/recorded-stream.ts';
import { startDatabase, type TestDatabase } from '../../tests/support/postgres.ts';
import { TEXT_SETTINGS } from './types/type-codec.ts';

/**
 * Records that Debezium 3.7 made of the same SQL (Avro, Confluent converter, all defaults) beside those
 * that our encoder makes of one recorded stream. The whole way, with every type, is in
 * tests/golden-replay.pg.test.ts.
 */
const folder = join(import.meta.dirname, '../../tests/golden/postgres');
const golden = JSON.parse(readFileSync(join(folder, 'avro-schemas.json'), 'utf8')) as {
  subjects: Record<string, number[]>;
  schemas: Record<string, AvroSchema>;
};
interface GoldenRecord {
  readonly topic: string;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: Record<string, string>;
}
const records = readFileSync(join(folder, 'avro.jsonl'), 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as GoldenRecord);

/** As when Debezium was recorded, but types of extensions and types that travel as text are text. */
const TABLES = `
create type mood as enum ('sad', 'ok', 'happy');
create table types_num(id int primary key, i2 int2, i4 int4, i8 int8, num12_2 numeric(12,2), num38_10 numeric(38,10),
  num38_0 numeric(38,0), num_neg text, num_un numeric, f4 real, f8 double precision, b bool, m text, bit1 text,
  bit8 text, bit70 text, vb text, o oid, dom int);
create table types_text(id int primary key, txt text, vc varchar(50), ch char(5), by bytea, u uuid, j json, jb jsonb,
  x text, e mood, h text, ci text, lt text, ip text, cd text, mac text, mac8 text, p text, bx text, pl text, r4 text,
  rn text, rts text, rtz text, rd text, mr text, tv text, comp text, ai int[], ai2 text, at text[], an numeric(10,2)[],
  ats timestamptz[], au uuid[], ae mood[], ab bytea[], abool bool[], aj jsonb[]);
create table types_time(id int primary key, d date, t time, t0 time(0), t3 time(3), ttz text, ts timestamp,
  ts0 timestamp(0), ts3 timestamp(3), tz timestamptz, tz3 timestamptz(3), iv text);
create table pk_num(k numeric(20,4) primary key, v text);
create table pk_time(k timestamptz primary key, v text);
create table pk_bytes(k bytea primary key, v text);
create table pk_compound(a int, b text, c uuid, v text, primary key(b, a, c));
create table pk_full(id int primary key, v text, n int);
alter table pk_full replica identity full;
create table nokey_full(a int, b text);
alter table nokey_full replica identity full;
create table "Weird-Table.1"("ID part" int primary key, "käse" text, "sel$ect" text, "9lives" text);
create table trunc1(id int primary key);
insert into pk_compound values (1, 'one', '00000000-0000-0000-0000-000000000001', 'v');
insert into pk_full values (1, 'a', 1), (2, 'b', 2);
insert into nokey_full values (1, 'x'), (1, 'x');
insert into trunc1 values (1);`;

const STREAM = `
update pk_num set k = 2 where k = 1; update pk_time set k = k + interval '1s'; delete from pk_bytes;
update pk_compound set v = 'w'; update pk_compound set a = 2, v = 'x'; delete from pk_compound;
insert into pk_full values (3, 'c', 3); update pk_full set v = 'bb' where id = 2;
update pk_full set v = v where id = 2; update pk_full set id = 20 where id = 2;
delete from pk_full where id = 1;
update nokey_full set b = 'z' where ctid = (select min(ctid) from nokey_full);
delete from nokey_full where b = 'z';
insert into "Weird-Table.1" values (2, 'ö', '$', '9');
truncate trunc1; insert into trunc1 values (2);`;

/** Text here, for the replay has them; or different from Debezium on purpose. */
const LEFT_OUT = new Set(
  'num_neg num_un m bit1 bit8 bit70 vb x h ci lt ip cd mac mac8 p bx pl r4 rn rts rtz rd mr tv comp ai2 ttz iv'.split(
    ' ',
  ),
);

let server: TestDatabase;
const context = encoderContext();

beforeAll(async () => {
  server = await startDatabase();
  const { client } = server;
  for (const [name, value] of Object.entries(TEXT_SETTINGS)) {
    await client.query(`set ${name} = '${value}'`);
  }
  await client.query(TABLES);
  await client.query(`create publication p for all tables`);
  await client.query(`select pg_create_logical_replication_slot('s', 'pgoutput')`);
  const rows = readFileSync(join(folder, 'rows.sql'), 'utf8')
    .replace(`'[0:1]={7,8}'`, `'{7,8}'`)
    .replace("'{infinity,-infinity}'", "'{infinity}'")
    // Past what 64 bits of microseconds hold: Debezium overflows, we refuse.
    .replace(/,\n \(11,[^\n]*;/, ';');
  await client.query(rows);
  for (const statement of STREAM.split(';')) await client.query(statement);
  const messages = await recordedStream(client, { slot: 's', publication: 'p', binary: true });
  await pushAll(messages, {
    context,
    tables: ({ schema, name }) => readTable(client, `"${schema}"."${name}"`),
  });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

describe('schemas', () => {
  test.each(['pk_num', 'pk_time', 'pk_bytes', 'pk_compound', 'pk_full', 'nokey_full', 'trunc1'])(
    'of %s, key and envelope, are those that Debezium registers',
    (table) => {
      for (const part of ['key', 'value']) {
        const subject = `gold.public.${table}-${part}`;
        const ours = context.registry.subjects.get(subject)?.at(-1);
        const theirs = golden.subjects[subject]?.at(-1);
        expect(ours === undefined).toBe(theirs === undefined);
        if (ours === undefined || theirs === undefined) continue;
        expect(withoutOurs(context.registry.schemas[ours - 1]!)).toEqual(golden.schemas[theirs]);
      }
    },
  );

  test.each(['types_num', 'types_text', 'types_time'])(
    'of the columns of %s are those of Debezium',
    (table) => {
      const ours = columnsOf(
        context.registry.schemas[
          context.registry.subjects.get(`gold.public.${table}-value`)![0]! - 1
        ]!,
      );
      const theirs = columnsOf(golden.schemas[golden.subjects[`gold.public.${table}-value`]![0]!]!);
      for (const [name, field] of theirs) {
        // Debezium has no null in an array of enums; Postgres has.
        if (LEFT_OUT.has(name) || name === 'ae') continue;
        expect(ours.get(name), `column ${name}`).toEqual(field);
      }
    },
  );
});

test('names that Avro does not allow are adjusted in every part, where Debezium leaves `.1`', () => {
  const ours = context.registry.subjects.get('gold.public.Weird-Table.1-value')![0]!;
  const schema = context.registry.schemas[ours - 1]!;
  expect([...columnsOf(schema)]).toEqual([
    ['ID_part', { name: 'ID_part', type: 'int', 'millrace.column': 'ID part' }],
    ['k_se', { name: 'k_se', type: ['null', 'string'], default: null, 'millrace.column': 'käse' }],
    ['sel_ect', expect.objectContaining({ 'millrace.column': 'sel$ect' })],
    ['_9lives', expect.objectContaining({ 'millrace.column': '9lives' })],
  ]);
  expect(schema).toMatchObject({ namespace: 'gold.public.Weird_Table._1' });
  expect(ourRecords('Weird-Table.1')[0]?.value?.after).toMatchObject({ ID_part: 2, k_se: 'ö' });
});

describe('values', () => {
  test.each(['types_num', 'types_text', 'types_time'])(
    'of every row of %s are those of Debezium',
    (table) => {
      const theirs = theirRecords(table).filter(({ value }) => value?.op === 'c');
      const ours = ourRecords(table).filter(({ value }) => value?.op === 'c');
      expect(ours.length).toBe(table === 'types_time' ? theirs.length - 1 : theirs.length);
      expect(ours.length).toBeGreaterThan(3);
      ours.forEach(({ value }, row) => {
        const expected = theirs[row]!.value!.after!;
        for (const [name, got] of Object.entries(value!.after!)) {
          if (LEFT_OUT.has(name) || (name === 'ats' && row === 3)) continue;
          expect(got, `row ${row + 1}, ${name}`).toEqual(expected[name]);
        }
      });
    },
  );

  test.each(['pk_num', 'pk_time', 'pk_bytes', 'pk_compound', 'pk_full', 'trunc1', 'nokey_full'])(
    'of the stream of %s: keys, images, ops, tombstones and headers in the same order',
    (table) => {
      const simple = (all: ReturnType<typeof ourRecords>): unknown[] =>
        all.map(({ key, value, headers }) => ({
          key,
          image: value === null ? null : { before: value.before, after: value.after, op: value.op },
          headers,
        }));
      let theirs = theirRecords(table).filter(({ value }) => value?.op !== 'r');
      // What comes before our stream began, and what we do better: no tombstone without a key.
      if (/pk_(num|time|bytes)/.test(table)) theirs = theirs.slice(table === 'pk_num' ? 4 : 2);
      if (table === 'pk_full') theirs = theirs.slice(0, 8);
      if (table === 'nokey_full') theirs = theirs.slice(0, -1);
      expect(simple(ourRecords(table))).toEqual(simple(theirs));
    },
  );

  test('in `source` have the same form as Debezium writes', () => {
    const [ours] = ourRecords('pk_compound');
    const theirs = theirRecords('pk_compound').find(({ value }) => value?.op === 'u');
    const source = ours!.value!['source'] as Record<string, unknown>;
    const expected = theirs!.value!['source'] as Record<string, unknown>;
    for (const field of [
      'connector',
      'snapshot',
      'schema',
      'table',
      'xmin',
      'origin',
      'origin_lsn',
    ]) {
      expect(source[field], `source.${field}`).toEqual(expected[field]);
    }
    expect(source['version']).toBe('0.1.0');
    expect(source['sequence']).toMatch(new RegExp(`^\\["\\d+","${String(source['lsn'])}"\\]$`));
    expect((source['ts_us'] as bigint) / 1000n).toBe(source['ts_ms']);
    expect(source['ts_ns']).toBe((source['ts_us'] as bigint) * 1000n);
    expect(Math.abs(Date.now() - Number(source['ts_ms']))).toBeLessThan(600_000);
    expect(ours!.value!['ts_ms']).toBe(1_700_000_000_000n);
    expect(ours!.value!['ts_ns']).toBe(1_700_000_000_000_000_000n);
    expect(ours!.value!['transaction']).toBeNull();
  });
});

interface Decoded {
  readonly key: Record<string, unknown> | null;
  readonly value:
    | (Record<string, unknown> & {
        before: unknown;
        after: Record<string, unknown> | null;
        op: string;
      })
    | null;
  readonly headers: Record<string, string>;
}

function ourRecords(table: string): Decoded[] {
  return recordsOf(context.buffer)
    .filter(({ topic }) => topic === `gold.public.${table}`)
    .map(({ key, value, headers }) => ({
      key: key === null ? null : decode(context.registry, key),
      value: value === null ? null : (decode(context.registry, value) as Decoded['value']),
      headers: Object.fromEntries(
        (headers ?? [])
          .filter(({ name }) => !name.startsWith('millrace.'))
          .map(({ name, value: text }) => [name, String(text)]),
      ),
    }));
}

function read(hex: string | null): Record<string, unknown> | null {
  if (hex === null) return null;
  const wire = Buffer.from(hex, 'hex');
  const schema = golden.schemas[wire.readUInt32BE(1)]!;
  return avroType(schema).fromBuffer(wire.subarray(5)) as Record<string, unknown>;
}

function theirRecords(table: string): Decoded[] {
  return records
    .filter(({ topic }) => topic === `gold.public.${table}`)
    .map(({ key, value, headers }) => ({
      key: read(key),
      value: read(value) as Decoded['value'],
      headers: Object.fromEntries(
        Object.entries(headers).filter(([name]) => !name.includes('.context.')),
      ),
    }));
}

/** Without the attribute that only our readers know. */
function withoutOurs(schema: AvroSchema): unknown {
  return JSON.parse(JSON.stringify(schema), function (name, value) {
    return name === 'millrace.column' ? undefined : value;
  });
}

function columnsOf(envelope: AvroSchema): Map<string, unknown> {
  const { fields } = envelope as unknown as { fields: { name: string; type: unknown }[] };
  const [, value] = fields[0]!.type as [unknown, { fields: { name: string }[] }];
  return new Map(value.fields.map((field) => [field.name, field]));
}
