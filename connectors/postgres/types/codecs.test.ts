import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type * as fc from 'fast-check';
import { judgeCodec } from '../../../tests/support/judged-codec.ts';
import { startDatabase, type TestDatabase } from '../../../tests/support/postgres.ts';
import { arrays, oddArrays, scalars } from '../../../tests/support/postgres-values.ts';
import type { TypeModes } from './modes.ts';
import { TEXT_SETTINGS } from './type-codec.ts';

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
      expect(await judgeCodec(server.client, { name, values, modes })).toEqual([]);
    },
  );
});
