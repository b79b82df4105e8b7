import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PostgresOptions } from '../connectors/postgres/options.ts';
import { equalText, type Texts, type TypedValues } from './support/equal-text.ts';
import { startPostgres, type TestPostgres } from './support/postgres.ts';
import { arrays, scalars } from './support/postgres-values.ts';
import { seed } from './support/seed.ts';

/**
 * Values of every type go into a real Postgres, through the connector and into DuckDB; then both are
 * asked for their text (cli/verify/canonical.ts says how for each type).
 */
let server: TestPostgres;
let folder: string;

beforeAll(async () => {
  server = await startPostgres();
  folder = await mkdtemp(join(tmpdir(), 'millrace-equal-'));
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** DuckDB's TIMESTAMP ends earlier than Postgres': such values are refused, see sinks/duckdb/exact.ts. */
const inRange = (value: string): boolean => !/\b29424[7-9]|\b2942[5-9]/.test(value);

const nested = fc.constantFrom('{}', '{{1,2},{3,NULL}}', '{{9223372036854775807}}');

const types: readonly [type: string, values: fc.Arbitrary<string>][] = [
  ...Object.entries({ ...scalars, ...arrays }),
  ['int8[][]', nested],
  ['posint', fc.constantFrom('1', '2147483647')],
  ['verypos', fc.constantFrom('1', '7')],
  ['posint[]', fc.constantFrom('{1,2}', '{}', '{NULL}')],
  ['posints', fc.constantFrom('{1,2}', '{}', '{3,NULL}')],
  ['grid', fc.constantFrom('{}', '{{1,2},{3,NULL}}')],
  ['price', fc.constantFrom('0.10', '-9999999999.99')],
  ['nest', fc.constantFrom('("(a b,1,)","{1,NULL}")', '(,)', '("(""x, y"",,)",{})')],
  // Of no length, and of bytes that would end a string of C.
  ['bytea', fc.constantFrom('', '\\x00', '\\x00ff00')],
  ['text', fc.constantFrom('', ' ', '\\0', '\u0001')],
  ['varbit', fc.constantFrom('', '0')],
];

const setup = `
  create extension citext; create extension hstore; create extension ltree;
  create type mood as enum ('sad', 'ok', 'very happy');
  create type addr as (street text, zip int, at time(3));
  create domain posint as int check (value > 0);
  create domain posints as posint[];
  create domain grid as int[][];
  create domain price as numeric(12,2);
  create type nest as (at addr, list int[]);
  create domain verypos as posint;
  create type floatrange as range (subtype = float8, multirange_type_name = floatmultirange)`;

async function differences(
  tables: readonly TypedValues[],
  options: Partial<PostgresOptions> = {},
): Promise<string[]> {
  return (await equalText({ server, folder, setup, tables, options })).differences;
}

test('values of every type have equal text in Postgres and in DuckDB', async () => {
  const tables = types.map(([type, values]): [string, string[]] => [
    type,
    fc.sample(values.filter(inRange), { seed, numRuns: 16 }),
  ]);
  expect(await differences(tables), `seed ${seed}`).toEqual([]);
}, 110_000);

test('they have where a type that only the server prints makes the whole stream text', async () => {
  const tables = [...types, ['tsquery', fc.constantFrom("'a' & !'b':*", '')] as const].map(
    ([type, values]): [string, string[]] => [
      type,
      fc.sample(values.filter(inRange), { seed: seed + 1, numRuns: 6 }),
    ],
  );
  tables.push(['regclass', ['pg_class', 'pg_type', 'pg_proc', 'pg_class']]);
  expect(await differences(tables), `seed ${seed}`).toEqual([]);
}, 110_000);

const sampled = (...names: readonly (keyof typeof scalars)[]): TypedValues[] =>
  names.map((type) => [
    type,
    fc.sample((scalars[type] as fc.Arbitrary<string>).filter(inRange), { seed, numRuns: 16 }),
  ]);

/** Dates and timestamps as ISO 8601 has them: years are astronomical, and 0 is 1 BC. */
const isoYear = `CASE WHEN extract(year FROM v) >= 10000 THEN '+' || extract(year FROM v)
  WHEN extract(year FROM v) > 0 THEN lpad(extract(year FROM v)::text, 4, '0')
  WHEN extract(year FROM v) = -1 THEN '0000'
  ELSE '-' || lpad((-extract(year FROM v) - 1)::text, 4, '0') END`;
const isoDay = ['month', 'day']
  .map((part) => `'-' || lpad(extract(${part} FROM v)::text, 2, '0')`)
  .join(' || ');
const iso = (rest: string): Texts => ({
  postgres: `CASE WHEN isfinite(v) THEN ${isoYear} || ${rest} || 'Z' ELSE v::text END`,
  duckdb: 'v',
});
const encoded = (encoding: 'base64' | 'hex', from = '', to = ''): Texts => ({
  postgres: `translate(encode(v, '${encoding}'), E'${from}\\n', '${to}')`,
  duckdb: 'v',
});

interface ModeCase {
  readonly options: Partial<PostgresOptions>;
  readonly tables: TypedValues[];
  /** DuckDB's types of the columns. */
  readonly columns: string;
  readonly texts?: Texts;
}

/** What 64 bits of nanoseconds can say. */
const nanoseconds = (tables: TypedValues[]): TypedValues[] =>
  tables.map(([type, values]) => [
    type,
    values.filter(
      (value) => !/BC|^\d{5}/.test(value) && !/^(0|1[0-6]|2[2-9]|[3-9])\d\d/.test(value),
    ),
  ]);

const modes: readonly ModeCase[] = [
  {
    options: { decimalHandling: 'precise' },
    tables: sampled('numeric', 'money', 'numeric(12,2)'),
    columns: 'VARCHAR DECIMAL(19,2) DECIMAL(12,2)',
  },
  {
    options: { decimalHandling: 'string' },
    tables: [...sampled('numeric', 'money'), ['numeric(12,2)', ['NaN', '1.50']]],
    columns: 'VARCHAR VARCHAR VARCHAR',
  },
  {
    options: { decimalHandling: 'double' },
    tables: [...sampled('numeric(38,10)'), ['numeric', ['NaN', 'Infinity', '-Infinity', '0.1']]],
    columns: 'DOUBLE DOUBLE',
    texts: { postgres: `v::float8::text`, duckdb: 'v::VARCHAR', numbers: true },
  },
  {
    options: { binaryHandling: 'bytes' },
    tables: sampled('bytea'),
    columns: 'BLOB',
  },
  {
    options: { binaryHandling: 'hex' },
    tables: sampled('bytea'),
    columns: 'VARCHAR',
    texts: encoded('hex'),
  },
  {
    options: { binaryHandling: 'base64' },
    tables: sampled('bytea'),
    columns: 'VARCHAR',
    texts: encoded('base64'),
  },
  {
    options: { binaryHandling: 'base64-url-safe' },
    tables: sampled('bytea'),
    columns: 'VARCHAR',
    texts: encoded('base64', '+/', '-_'),
  },
  { options: { hstoreHandling: 'json' }, tables: sampled('hstore'), columns: 'JSON' },
  { options: { hstoreHandling: 'map' }, tables: sampled('hstore'), columns: 'JSON' },
  { options: { intervalHandling: 'numeric' }, tables: sampled('interval'), columns: 'INTERVAL' },
  { options: { intervalHandling: 'string' }, tables: sampled('interval'), columns: 'INTERVAL' },
  {
    options: { timePrecision: 'adaptive' },
    tables: sampled('time(3)', 'time', 'timestamp(3)', 'timestamp', 'date', 'timestamptz'),
    columns: 'TIME TIME TIMESTAMP TIMESTAMP DATE TIMESTAMP WITH TIME ZONE',
  },
  {
    options: { timePrecision: 'adaptive_time_microseconds' },
    tables: sampled('time', 'time(0)', 'timestamp(3)', 'timestamp', 'date'),
    columns: 'TIME TIME TIMESTAMP TIMESTAMP DATE',
  },
  {
    options: { timePrecision: 'microseconds' },
    tables: sampled('time', 'time(0)', 'timestamp(3)', 'timestamp', 'date'),
    columns: 'TIME TIME TIMESTAMP TIMESTAMP DATE',
  },
  {
    options: { timePrecision: 'connect' },
    tables: sampled('time', 'timestamp', 'date'),
    columns: 'TIME TIMESTAMP DATE',
  },
  {
    options: { timePrecision: 'nanoseconds' },
    tables: [...nanoseconds(sampled('timestamp', 'timestamp(3)')), ...sampled('date')],
    columns: 'TIMESTAMP_NS TIMESTAMP_NS DATE',
  },
  {
    options: { timePrecision: 'nanoseconds' },
    tables: sampled('time', 'time(0)'),
    columns: 'TIME_NS TIME_NS',
    texts: {
      postgres: `to_char(extract(epoch FROM v) * 1000000000, 'FM99999999999999990')`,
      duckdb: `(extract(hour FROM v) * 3600000000000 + extract(minute FROM v) * 60000000000
        + nanosecond(v) + extract(second FROM v) * 0)::VARCHAR`,
    },
  },
  {
    options: { timePrecision: 'isostring' },
    tables: sampled('date'),
    columns: 'VARCHAR',
    texts: iso(isoDay),
  },
  {
    options: { timePrecision: 'isostring' },
    tables: sampled('timestamp', 'timestamp(3)'),
    columns: 'VARCHAR VARCHAR',
    texts: iso(`to_char(v, '-MM-DD"T"HH24:MI:SS') || rtrim(rtrim(to_char(v, '.US'), '0'), '.')`),
  },
  {
    options: { timePrecision: 'isostring' },
    tables: sampled('time', 'time(0)'),
    columns: 'VARCHAR VARCHAR',
    texts: { postgres: `v::text || 'Z'`, duckdb: 'v' },
  },
];

test.each(modes)(
  'they have with $options, too ($columns)',
  async (of) => {
    const { options, tables, texts } = of;
    const run = { server, folder, setup, tables, options };
    const found = await equalText(texts === undefined ? run : { ...run, texts });
    expect(found.differences, `seed ${seed}`).toEqual([]);
    expect(found.columns.join(' ')).toBe(of.columns);
  },
  60_000,
);

type Refusal = [type: string, value: string, remedy: RegExp, options?: Partial<PostgresOptions>];

test.each([
  ['numeric(12,2)', 'NaN', /decimalHandling: string/],
  ['timestamp', '294276-12-31 23:59:59.999999', /timePrecision: isostring/],
  ['int[]', '{{1,2},{3,4}}', /integer\[\]\[\]/],
  ['int[]', '[0:1]={7,8}', /a\[:\]/],
  ['interval', 'infinity', /Correct the value/],
  [
    'timestamp',
    '2263-01-01 00:00:00',
    /timePrecision: isostring/,
    { timePrecision: 'nanoseconds' },
  ],
] as readonly Refusal[])(
  '%s %s, which DuckDB cannot hold, is refused with a remedy',
  async (type, value, remedy, options = {}) => {
    await expect(differences([[type, [value, value]]], options)).rejects.toMatchObject({
      code: 'VALUE_UNSUPPORTED',
      remedy: expect.stringMatching(remedy),
      place: expect.stringMatching(/^shop\.public\.t_0, partition 0, offset/),
    });
  },
);
