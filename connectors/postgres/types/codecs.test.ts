import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as fc from 'fast-check';
import { ByteReader } from '../../../schemas/byte-reader.ts';
import { ByteWriter } from '../../../schemas/byte-writer.ts';
import { avroOf } from '../../../schemas/semantic.ts';
import { startDatabase, type TestDatabase } from '../../../tests/support/postgres.ts';
import { avroType } from '../../../tests/support/recorded-stream.ts';
import { readTable } from '../../../tests/support/postgres-tables.ts';
import { postgresText } from '../../../tests/support/postgres-text.ts';
import { arrays, oddArrays, scalars } from '../../../tests/support/postgres-values.ts';
import { seed } from '../../../tests/support/seed.ts';
import { chooseCodec, isBinarySafe } from './codec-of.ts';
import { DEFAULT_MODES, type TypeModes } from './modes.ts';
import { EXACTNESS, inexact, TEXT_SETTINGS } from './type-codec.ts';

const every: Readonly<Record<string, fc.Arbitrary<string>>> = { ...scalars, ...arrays };

/**
 * The server is the judge: it makes a value from text, sends it in both forms, and is asked whether the
 * text that we read back from our Avro is the same value to it.
 */
let server: TestDatabase;

beforeAll(async () => {
  server = await startDatabase();
  const { client } = server;
  for (const [name, value] of Object.entries(TEXT_SETTINGS)) {
    await client.query(`set ${name} = '${value}'`);
  }
  await client.query(`
    create extension citext; create extension hstore; create extension ltree;
    create type mood as enum ('sad', 'ok', 'very happy');
    create type addr as (street text, zip int, at time(3));
    create type floatrange as range (subtype = float8, multirange_type_name = floatmultirange)`);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const cases: [type: string, values: fc.Arbitrary<string>, modes: Partial<TypeModes>][] = [
  ...Object.entries(every).map(([type, values]): (typeof cases)[number] => [
    type,
    values,
    type === 'hstore[]' ? { hstore: 'map' } : {},
  ]),
  ...Object.entries(oddArrays).map(([type, values]): (typeof cases)[number] => [type, values, {}]),
  ...(['numeric', 'numeric(12,2)', 'money', 'numeric[]'] as const).map(
    (type): (typeof cases)[number] => [type, every[type]!, { decimal: 'string' }],
  ),
  ...(['date', 'time', 'timestamp', 'timestamp(3)', 'time[]'] as const).flatMap((type) =>
    (['connect', 'isostring', 'microseconds', 'nanoseconds'] as const).map(
      (time): (typeof cases)[number] => [type, every[type]!, { time }],
    ),
  ),
  ['time(0)', every['time(0)']!, { time: 'adaptive_time_microseconds' }],
  ['interval', every['interval']!, { interval: 'string' }],
  ['hstore', every['hstore']!, { hstore: 'map' }],
];

describe('a value of every type', () => {
  test.each(cases)(
    '%s is the same Avro from its binary and its text form, and the server knows it again (%#: %o)',
    async (name, values, modes) => {
      const { client } = server;
      await client.query(`drop table if exists t; create table t (v ${name})`);
      const type = (await readTable(client, 't')).columns[0]!.type;
      expect(isBinarySafe(type)).toBe(true);
      const { codec } = chooseCodec(type, {
        modes: { ...DEFAULT_MODES, ...modes },
        keyed: false,
      });
      const avro = avroType(avroOf(codec.semantic));
      const sample = fc.sample(values, { seed, numRuns: 150 });
      const { rows: sends } = await client.query(
        'select typsend::text send from pg_type where oid = $1',
        [type.oid],
      );
      const { rows } = await client.query(
        `with made as (select i, v::${name} v from unnest($1::text[]) with ordinality u(v, i))
         select format('%s', v) s, ${sends[0].send}(v) b from made order by i`,
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
        expect(fromText, `seed ${seed}, ${s}`).toEqual(fromBinary);
        // avsc reads exactly these bytes: the form is valid Avro of the registered schema.
        const avroBytes = Buffer.from(fromBinary.bytes, 'hex');
        expect(avro.toBuffer(avro.fromBuffer(avroBytes)).equals(avroBytes), `seed ${seed}`).toBe(
          true,
        );
        backs.push(
          fromBinary.exact ??
            shownAs(name, postgresText(codec.semantic, new ByteReader(avroBytes))),
        );
      }
      const { rows: judged } = await client.query(
        `select v::text want, w::text got
         from (select v::${name} v, ${codec.semantic.kind === 'json' && name === 'hstore' ? FROM_JSON : `w::${name}`} w
           from unnest($1::text[], $2::text[]) u(v, w)) x`,
        [rows.map(({ s }) => s), backs],
      );
      for (const { want, got } of judged) expect(got, `seed ${seed}`).toBe(want);
    },
  );
});

/** What the semantic type does not know of the source's: bits that are booleans, the delimiter of boxes. */
function shownAs(type: string, text: string): string {
  if (type.startsWith('bit(1)')) return text.replaceAll('true', '1').replaceAll('false', '0');
  return type === 'box[]' ? text.replaceAll(/(["L]),(?=["N])/g, '$1;') : text;
}

const FROM_JSON = `(select coalesce(hstore(array_agg(key), array_agg(value)), '') from json_each_text(w::json))`;

/** What a codec wrote, and the text it told if that is not all. */
function encode(write: (out: ByteWriter) => void): { bytes: string; exact: string | null } {
  const out = new ByteWriter(1);
  write(out);
  const exact = inexact.exactness === EXACTNESS.exact ? null : inexact.text;
  inexact.exactness = EXACTNESS.exact;
  return { bytes: out.written().toString('hex'), exact };
}
