import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../tests/support/postgres.ts';
import { columnsOf, tableName } from './columns.ts';
import { compareRows, type Comparison } from './compare.ts';
import { duckdbRows, postgresRows } from './sorted-rows.ts';

let server: TestPostgres;
let database: TestDatabase;
let duckdb: DuckDBConnection;

beforeAll(async () => {
  server = await startPostgres();
  database = await server.createDatabase();
  duckdb = await (await DuckDBInstance.create(':memory:')).connect();
});

afterAll(async () => {
  duckdb.closeSync();
  await database[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

async function compare(table: string): Promise<Comparison> {
  const { client } = database;
  const { columns } = await columnsOf(client, tableName(table));
  await client.query('BEGIN');
  try {
    return await compareRows(
      columns,
      postgresRows(client, table, columns),
      duckdbRows(duckdb, table.split('.')[1] ?? '', columns),
    );
  } finally {
    await client.query('ROLLBACK');
  }
}

/** Makes a table on both sides, with one column under test and a key, and compares. */
async function oneColumn(
  name: string,
  postgres: { type: string; values: readonly string[] },
  sink: { type: string; values: readonly string[] },
): Promise<Comparison> {
  await database.query(`CREATE TABLE public.${name} (id int PRIMARY KEY, v ${postgres.type})`);
  await duckdb.run(`CREATE TABLE ${name} (id INTEGER, v ${sink.type})`);
  for (const [id, value] of postgres.values.entries()) {
    await database.query(`INSERT INTO public.${name} VALUES (${id}, ${value})`);
  }
  for (const [id, value] of sink.values.entries()) {
    await duckdb.run(`INSERT INTO ${name} VALUES (${id}, ${value})`);
  }
  return compare(`public.${name}`);
}

const equalTypes: readonly [string, string, string, readonly string[], (readonly string[])?][] = [
  ['big', 'bigint', 'BIGINT', ['-9223372036854775808', '9223372036854775807', 'NULL']],
  ['money', 'numeric(12,2)', 'DECIMAL(12,2)', ['0', '-0.10', '9999999999.99', 'NULL']],
  ['wide', 'numeric(38,10)', 'DECIMAL(38,10)', ['1234567890123456789012345678.0000000001']],
  ['loose', 'numeric', 'VARCHAR', [`'1.500'`, `'12345678901234567890.1'`, `'NaN'`]],
  [
    'float',
    'double precision',
    'DOUBLE',
    ['0.1', '1e300', '1e-300', '123456789012345678', `'NaN'`, `'Infinity'`, `'-Infinity'`, `'-0'`],
  ],
  ['single', 'real', 'FLOAT', ['0.1', '3.4e38', '16777216', '1e-10']],
  ['truth', 'boolean', 'BOOLEAN', ['true', 'false', 'NULL']],
  ['words', 'text', 'VARCHAR', [`''`, `'NULL'`, `'Zoë 山田 💧'`, `'it''s'`]],
  ['padded', 'char(5)', 'VARCHAR', [`'ab'`], [`'ab   '`]],
  ['raw', 'bytea', 'BLOB', [`''`, `'\\x00ff'`], [`''`, `'\\x00\\xFF'`]],
  ['day', 'date', 'DATE', [`'2024-02-29'`, `'0001-01-01'`, `'infinity'`, `'-infinity'`]],
  ['clock', 'time', 'TIME', [`'00:00:00'`, `'23:59:59.999999'`, `'12:00:00.5'`]],
  [
    'moment',
    'timestamp',
    'TIMESTAMP',
    [`'2024-02-29 12:00:00.000001'`, `'1969-12-31 23:59:59.5'`, `'infinity'`],
  ],
  [
    'instant',
    'timestamptz',
    'TIMESTAMPTZ',
    [`'2024-02-29 12:00:00.5+05:30'`, `'1900-01-01 00:00:00Z'`, `'-infinity'`],
  ],
  [
    'iso',
    'timestamptz',
    'VARCHAR',
    [`'2024-02-29 12:00:00.5Z'`],
    [`'2024-02-29T12:00:00.500000Z'`],
  ],
  [
    'ident',
    'uuid',
    'UUID',
    [`'00000000-0000-0000-0000-000000000000'`, `'ffffffff-ffff-ffff-ffff-ffffffffffff'`],
  ],
  ['doc', 'jsonb', 'JSON', [`'{"a": [1, 1.50, null], "b": "é"}'`, `'null'`, 'NULL']],
  [
    'tags',
    'text[]',
    'VARCHAR[]',
    [`'{}'`, 'NULL', `ARRAY['a"b', 'c,d', NULL, 'é', E'\\t']`],
    ['[]', 'NULL', `['a"b', 'c,d', NULL, 'é', chr(9)]`],
  ],
  [
    'counts',
    'bigint[]',
    'BIGINT[]',
    [`'{9223372036854775807,NULL}'`],
    ['[9223372036854775807, NULL]'],
  ],
];

describe('values that mean the same', () => {
  test.each(equalTypes)('%s: %s equals %s', async (name, type, sinkType, values, sinkValues) => {
    const found = await oneColumn(
      name,
      { type, values },
      { type: sinkType, values: sinkValues ?? values },
    );
    expect(found).toEqual({
      sourceRows: values.length,
      sinkRows: values.length,
      missing: 0,
      extra: 0,
      different: 0,
      first: null,
    });
  });
});

const text = (...values: string[]) => ({ type: 'text', values });
const varchar = (...values: string[]) => ({ type: 'VARCHAR', values });

describe('differences', () => {
  test('NULL is not an empty text, and the column and key are named', async () => {
    const found = await oneColumn('d1', text(`'a'`, 'NULL'), varchar(`'a'`, `''`));
    expect(found.different).toBe(1);
    expect(found.first).toBe('v differs at key id=1');
  });

  test('a number with one more zero after the point is not the same text', async () => {
    const found = await oneColumn('d2', { type: 'numeric', values: ['1.5'] }, varchar(`'1.50'`));
    expect(found.different).toBe(1);
  });

  test('a microsecond is seen', async () => {
    const found = await oneColumn(
      'd3',
      { type: 'timestamptz', values: [`'2024-01-01 00:00:00.000001Z'`] },
      { type: 'TIMESTAMPTZ', values: [`'2024-01-01 00:00:00Z'`] },
    );
    expect(found.different).toBe(1);
  });

  test('a row that one side lacks is counted on its side, and the walk goes on after it', async () => {
    await database.query('CREATE TABLE public.d4 (k text PRIMARY KEY, n int)');
    await duckdb.run('CREATE TABLE d4 (k VARCHAR, n INTEGER)');
    await database.query(`INSERT INTO d4 VALUES ('B', 1), ('a', 2), ('é', 3), ('z', 4)`);
    await duckdb.run(`INSERT INTO d4 VALUES ('A', 1), ('B', 1), ('é', 3), ('z', 5)`);
    expect(await compare('public.d4')).toEqual({
      sourceRows: 4,
      sinkRows: 4,
      missing: 1,
      extra: 1,
      different: 1,
      first: 'key k=A is only in the sink',
    });
  });

  test('without a key every row must be there as often', async () => {
    await database.query('CREATE TABLE public.d5 (a int, b text)');
    await duckdb.run('CREATE TABLE d5 (a INTEGER, b VARCHAR)');
    await database.query(`INSERT INTO d5 VALUES (1, NULL), (1, NULL), (2, 'x'), (NULL, 'y')`);
    await duckdb.run(`INSERT INTO d5 VALUES (2, 'x'), (1, NULL), (NULL, 'y'), (NULL, 'y')`);
    const found = await compare('public.d5');
    expect([found.missing, found.extra]).toEqual([1, 1]);
    expect(found.first).toContain('in the order of all columns');
  });

  test('tables larger than a batch are walked to their end', async () => {
    await database.query('CREATE TABLE public.d6 (id bigint PRIMARY KEY, v text)');
    await duckdb.run('CREATE TABLE d6 (id BIGINT, v VARCHAR)');
    await database.query(`INSERT INTO d6 SELECT n, 'v' || n FROM generate_series(-3000, 9000) n`);
    await duckdb.run(
      `INSERT INTO d6 SELECT n, 'v' || n FROM range(-3000, 9001) r(n) WHERE n <> 8999`,
    );
    const found = await compare('public.d6');
    expect(found).toMatchObject({ sourceRows: 12_001, sinkRows: 12_000, missing: 1, extra: 0 });
    expect(found.first).toBe('key id=8999 is not in the sink');
  });

  test('a key of two columns is matched in key order, whatever the order of the columns', async () => {
    await database.query('CREATE TABLE public.d7 (b int, v int, a text, PRIMARY KEY (a, b))');
    await duckdb.run('CREATE TABLE d7 (b INTEGER, v INTEGER, a VARCHAR)');
    const rows = `(10, 1, 'x'), (9, 2, 'x'), (1, 3, 'y')`;
    await database.query(`INSERT INTO d7 VALUES ${rows}`);
    await duckdb.run(`INSERT INTO d7 VALUES ${rows}`);
    await duckdb.run(`UPDATE d7 SET v = 7 WHERE b = 10`);
    expect((await compare('public.d7')).first).toBe('v differs at key a=x, b=10');
  });
});
