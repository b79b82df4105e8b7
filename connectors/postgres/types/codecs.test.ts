import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as fc from 'fast-check';
import { ByteReader } from '../../../schemas/byte-reader.ts';
import { ByteWriter } from '../../../schemas/byte-writer.ts';
import { avroOf } from '../../../schemas/semantic.ts';
import { scratchPostgres, type ScratchPostgres } from '../../../tests/support/scratch-postgres.ts';
import { avroType } from '../../../tests/support/recorded-stream.ts';
import { readTable } from '../../../tests/support/postgres-tables.ts';
import { postgresText } from '../../../tests/support/postgres-text.ts';
import { arrays, scalars } from '../../../tests/support/postgres-values.ts';
import { seed } from '../../../tests/support/seed.ts';
import type { PgType } from '../table.ts';
import { codecOf } from './codec-of.ts';
import { TEXT_SETTINGS } from './type-codec.ts';

/**
 * The server is the judge: it makes a value from text, sends it in both forms, and is asked whether the
 * text that we read back from our Avro is the same value to it.
 */
let server: ScratchPostgres;

beforeAll(async () => {
  server = await scratchPostgres();
  const { client } = server;
  await client.query('create extension citext');
  await client.query(`create type mood as enum ('sad', 'ok', 'very happy')`);
  for (const [name, value] of Object.entries(TEXT_SETTINGS)) {
    await client.query(`set ${name} = '${value}'`);
  }
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

describe('a value of every type', () => {
  test.each(Object.entries({ ...scalars, ...arrays }))(
    '%s is the same Avro from its binary and its text form, and the server knows it again',
    async (name, values) => {
      const { client } = server;
      const table = `t_${Object.keys({ ...scalars, ...arrays }).indexOf(name)}`;
      await client.query(`create table ${table} (v ${name})`);
      const type = (await readTable(client, table)).columns[0]!.type;
      const { codec, binarySafe } = codecOf(type);
      expect(binarySafe).toBe(true);
      const avro = avroType(avroOf(codec.semantic));
      const sample = fc.sample(values, { seed, numRuns: 150 });
      const base = type.element ?? type;
      const { rows } = await client.query(
        `with made as (select i, v::${name} v from unnest($1::text[]) with ordinality u(v, i))
         select format('%s', v) s, ${sendFunction(base, type.element !== null)}(v) b from made order by i`,
        [sample],
      );
      const backs: string[] = [];
      for (const { s, b } of rows as { s: string; b: Buffer }[]) {
        const fromBinary = encode((out) =>
          codec.binary({ bytes: b, start: 0, end: b.length }, out),
        );
        const bytes = Buffer.from(`..${s}..`);
        const fromText = encode((out) =>
          codec.text({ bytes, start: 2, end: bytes.length - 2 }, out),
        );
        expect(fromText.toString('hex'), `seed ${seed}, ${s}`).toBe(fromBinary.toString('hex'));
        // avsc reads exactly these bytes: the form is valid Avro of the registered schema.
        expect(avro.toBuffer(avro.fromBuffer(fromBinary)).equals(fromBinary), `seed ${seed}`).toBe(
          true,
        );
        backs.push(postgresText(codec.semantic, new ByteReader(fromBinary)));
      }
      const shown = name.startsWith('numeric') && base.modifier < 0 ? trimmed(name) : 'v::text';
      const { rows: judged } = await client.query(
        `select ${shown} want, ${shown.replaceAll('v', 'w')} got
         from (select v::${name} v, w::${name} w from unnest($1::text[], $2::text[]) u(v, w)) x`,
        [rows.map(({ s }) => s), backs],
      );
      for (const { want, got } of judged) expect(got, `seed ${seed}`).toBe(want);
    },
  );
});

/** Scales of numeric without one are not kept: equal numbers are one key. */
function trimmed(name: string): string {
  return name.endsWith('[]')
    ? `(select array_agg(trim_scale(e) order by i) from unnest(v) with ordinality z(e, i))::text`
    : 'trim_scale(v)::text';
}

function sendFunction({ oid, name }: PgType, isArray: boolean): string {
  if (isArray) return 'array_send';
  const names: Record<number, string> = {
    16: 'boolsend',
    17: 'byteasend',
    19: 'namesend',
    20: 'int8send',
    21: 'int2send',
    23: 'int4send',
    25: 'textsend',
    26: 'oidsend',
    114: 'json_send',
    700: 'float4send',
    701: 'float8send',
    1042: 'bpcharsend',
    1043: 'varcharsend',
    1082: 'date_send',
    1083: 'time_send',
    1114: 'timestamp_send',
    1184: 'timestamptz_send',
    1700: 'numeric_send',
    2950: 'uuid_send',
    3802: 'jsonb_send',
  };
  return names[oid] ?? (name === 'citext' ? 'citextsend' : 'enum_send');
}

function encode(write: (out: ByteWriter) => void): Buffer {
  const out = new ByteWriter(1);
  write(out);
  return Buffer.from(out.written());
}
