import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { offset, type Offset, type RecordBatch, type TopicPartition } from '../broker/broker.ts';
import { columnsOf } from '../cli/verify/columns.ts';
import { compareRows } from '../cli/verify/compare.ts';
import { duckdbRows, postgresRows } from '../cli/verify/sorted-rows.ts';
import type { ChangeBatch } from '../connectors/connector.ts';
import { postgresConnector } from '../connectors/postgres/connector.ts';
import { typeModes, type PostgresOptions } from '../connectors/postgres/options.ts';
import type { TypeModes } from '../connectors/postgres/types/modes.ts';
import { MillraceError } from '../errors.ts';
import { silent } from '../log.ts';
import { duckdbSink, type DuckdbSink } from '../sinks/duckdb/sink.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from './support/postgres.ts';
import { arrays, scalars } from './support/postgres-values.ts';
import { MemoryRegistry } from './support/recorded-stream.ts';
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
];

async function database(): Promise<TestDatabase> {
  const made = await server.createDatabase();
  await made.query(`
    create extension citext; create extension hstore; create extension ltree;
    create type mood as enum ('sad', 'ok', 'very happy');
    create type addr as (street text, zip int, at time(3));
    create domain posint as int check (value > 0);
    create type floatrange as range (subtype = float8, multirange_type_name = floatmultirange)`);
  return made;
}

/** Fills a table per type, half before the snapshot and half after, and answers the tables' names. */
async function capture(
  from: TestDatabase,
  tables: readonly [type: string, values: readonly string[]][],
  to: { readonly sink: DuckdbSink; readonly registry: MemoryRegistry },
  options: Partial<PostgresOptions> = {},
): Promise<void> {
  const insert = async (half: number): Promise<void> => {
    for (const [at, [type, values]] of tables.entries()) {
      await from.query(
        `insert into t_${at} select i, v::${type} from unnest($1::text[]) with ordinality u(v, i)
         where i % 2 = ${half}`,
        [[...values]],
      );
      await from.query(`insert into t_${at} values (${-half}, null)`);
    }
  };
  for (const [at, [type]] of tables.entries()) {
    await from.query(`create table t_${at} (id int primary key, v ${type})`);
    await from.query(`alter table t_${at} replica identity full`);
  }
  await insert(0);
  const connector = postgresConnector({
    pipeline: 'equal',
    url: from.url,
    tables: ['public.t_*'],
    prefix: 'shop',
    partitions: 1,
    version: '0.0.0',
    registry: to.registry,
    log: silent,
    statusIntervalMs: 50,
    ...options,
  });
  const feed = new Feed(to.sink);
  let streaming = false;
  const expected = tables.length * 2 + tables.reduce((sum, [, { length }]) => sum + length, 0);
  for await (const batch of connector.changes(null, AbortSignal.timeout(100_000))) {
    await feed.write(batch);
    await connector.ack(batch.position);
    // The last batch of the snapshot names no table any more.
    if (!streaming && feed.written === expected - feed.streamed(tables)) {
      streaming = true;
      await insert(1);
    }
    if (feed.written === expected) break;
  }
}

/** Writes what a connector delivers into a sink, as if from topics. */
class Feed {
  written = 0;
  readonly #sink: DuckdbSink;
  readonly #ends = new Map<string, Offset>();

  constructor(sink: DuckdbSink) {
    this.#sink = sink;
  }

  /** Rows of the second half. */
  streamed(tables: readonly [string, readonly string[]][]): number {
    return tables.reduce((sum, [, { length }]) => sum + Math.ceil(length / 2) + 1, 0);
  }

  async write({ outgoing }: ChangeBatch): Promise<void> {
    const batches: RecordBatch[] = [];
    for (const { topic, partition, records } of outgoing) {
      const at: TopicPartition = { topic, partition };
      const known = this.#ends.get(topic);
      if (known === undefined) await this.#sink.open([at]);
      const base = known ?? offset(0);
      const next = offset(base + records.count);
      this.#ends.set(topic, next);
      const bytes = Buffer.from(records.written());
      const { count } = records;
      this.written += count;
      batches.push({
        ...at,
        segments: [{ base, bytes, count }],
        count,
        bytes: bytes.length,
        consumed: { ...at, group: 'g', next, generation: 1 },
      });
    }
    const { refused } = await this.#sink.write(batches, new AbortController().signal);
    for (const { code, message, place, remedy } of refused) {
      throw new MillraceError(code, message, { place: place ?? '', remedy });
    }
  }
}

async function differences(
  from: TestDatabase,
  path: string,
  { tables, modes }: { readonly tables: readonly string[]; readonly modes: TypeModes },
): Promise<string[]> {
  const instance = await DuckDBInstance.create(path);
  const duckdb = await instance.connect();
  const found: string[] = [];
  try {
    for (const [at, type] of tables.entries()) {
      const { columns } = await columnsOf(
        from.client,
        { schema: 'public', name: `t_${at}` },
        { modes },
      );
      await from.query('begin');
      const result = await compareRows(
        columns,
        postgresRows(from.client, `public.t_${at}`, columns),
        duckdbRows(duckdb, `public.t_${at}`, columns),
      );
      await from.query('rollback');
      if (result.first !== null || result.sinkRows < 3) found.push(`${type}: ${result.first}`);
    }
  } finally {
    duckdb.closeSync();
    instance.closeSync();
  }
  return found;
}

async function loaded(
  tables: readonly [type: string, values: readonly string[]][],
  options: Partial<PostgresOptions> = {},
): Promise<string[]> {
  await using from = await database();
  const path = join(folder, `${++files}.duckdb`);
  const registry = new MemoryRegistry();
  {
    await using sink = duckdbSink(
      { path, pipeline: 'equal', prefix: 'shop', threads: 1 },
      { registry, log: silent },
    );
    await capture(from, tables, { sink, registry }, options);
  }
  const names = tables.map(([type]) => type);
  return await differences(from, path, { tables: names, modes: typeModes(options) });
}
let files = 0;

test('values of every type have equal text in Postgres and in DuckDB', async () => {
  const tables = types.map(([type, values]): [string, string[]] => [
    type,
    fc.sample(values.filter(inRange), { seed, numRuns: 16 }),
  ]);
  expect(await loaded(tables), `seed ${seed}`).toEqual([]);
}, 110_000);

const sampled = (...names: readonly (keyof typeof scalars)[]): [string, string[]][] =>
  names.map((type) => [
    type,
    fc.sample((scalars[type] as fc.Arbitrary<string>).filter(inRange), { seed, numRuns: 16 }),
  ]);

test.each([
  [
    { decimalHandling: 'string' },
    [...sampled('numeric', 'money'), ['numeric(12,2)', ['NaN', '1.50']]],
  ],
  [{ intervalHandling: 'string' }, sampled('interval')],
  [{ timePrecision: 'microseconds' }, sampled('time', 'time(0)', 'timestamp(3)', 'date')],
  [{ timePrecision: 'adaptive_time_microseconds' }, sampled('time', 'time(0)')],
  [{ timePrecision: 'connect' }, sampled('time', 'timestamp', 'date')],
  [{ timePrecision: 'nanoseconds' }, sampled('time', 'date')],
  [
    { timePrecision: 'isostring' },
    [
      ...sampled('time', 'time(0)', 'timestamp', 'timestamp(3)', 'date'),
      ['date', ['0044-03-15 BC', '0001-12-31 BC', '0001-01-01', '20024-01-01', 'infinity']],
      ['timestamp', ['294276-12-31 23:59:59.999999', '0044-03-15 12:00:00.5 BC', '-infinity']],
    ],
  ],
  [{ decimalHandling: 'double' }, sampled('numeric', 'numeric(12,2)', 'money')],
  ...(['base64', 'base64-url-safe', 'hex'] as const).map(
    (binaryHandling) =>
      [
        { binaryHandling },
        [...sampled('bytea'), ['bytea[]', ['{}', '{"\\\\xfbff3e",NULL,""}', '{"\\\\x00"}']]],
      ] as const,
  ),
  [{ hstoreHandling: 'map' }, sampled('hstore')],
] as const)(
  'they have with %o, too',
  async (options, tables) => {
    const given = tables.map(([type, values]): [string, string[]] => [type, [...values]]);
    expect(await loaded(given, options), `seed ${seed}`).toEqual([]);
  },
  60_000,
);

test.each([
  ['numeric(12,2)', 'NaN', /decimalHandling: string/],
  ['timestamp', '294276-12-31 23:59:59.999999', /timePrecision: isostring/],
  ['int[]', '{{1,2},{3,4}}', /integer\[\]\[\]/],
  ['int[]', '[0:1]={7,8}', /a\[:\]/],
  ['interval', 'infinity', /Correct the value/],
])('%s %s, which DuckDB cannot hold, is refused with a remedy', async (type, value, remedy) => {
  await expect(loaded([[type, [value, value]]])).rejects.toMatchObject({
    code: 'VALUE_UNSUPPORTED',
    remedy: expect.stringMatching(remedy),
    place: expect.stringMatching(/^shop\.public\.t_0, partition 0, offset/),
  });
});
