import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { offset, type Offset, type RecordBatch, type TopicPartition } from '../../broker/broker.ts';
import { columnsOf, tableName } from '../../cli/verify/columns.ts';
import { compareRows } from '../../cli/verify/compare.ts';
import { duckdbRows, postgresRows } from '../../cli/verify/sorted-rows.ts';
import type { ChangeBatch } from '../../connectors/connector.ts';
import { postgresConnector } from '../../connectors/postgres/connector.ts';
import { typeModes, type PostgresOptions } from '../../connectors/postgres/options.ts';
import { MillraceError } from '../../errors.ts';
import { silent } from '../../log.ts';
import { duckdbSink, type DuckdbSink } from '../../sinks/duckdb/sink.ts';
import type { TestDatabase, TestPostgres } from './postgres.ts';
import { MemoryRegistry } from './recorded-stream.ts';

/** A type, and values of it as Postgres reads them. */
export type TypedValues = readonly [type: string, values: readonly string[]];

export interface EqualTextRun {
  readonly server: TestPostgres;
  readonly folder: string;
  /** SQL for the types that are not Postgres' own. */
  readonly setup: string;
  readonly tables: readonly TypedValues[];
  readonly options?: Partial<PostgresOptions>;
  /** SQL for the text of `v`, where a mode makes something else of the values than what they are. */
  readonly texts?: Texts;
}

export interface Texts {
  readonly postgres: string;
  readonly duckdb: string;
  /** The texts are numbers, which may be written differently. */
  readonly numbers?: boolean;
}

/**
 * Puts values of types into a real Postgres, a table per type, through the connector and into DuckDB;
 * then asks both for their text (cli/verify/canonical.ts says how for each type). Answers what differs,
 * and the type of each column in DuckDB.
 */
export async function equalText(
  run: EqualTextRun,
): Promise<{ differences: string[]; columns: string[] }> {
  await using from = await run.server.createDatabase();
  await from.query(run.setup);
  const path = join(run.folder, `${++files}.duckdb`);
  const registry = new MemoryRegistry();
  {
    await using sink = duckdbSink(
      { path, pipeline: 'equal', prefix: 'shop', threads: 1 },
      { registry, log: silent },
    );
    await capture(from, run.tables, { sink, registry }, run.options);
  }
  return await compared(from, path, run);
}

let files = 0;

/** Fills a table per type, half before the snapshot and half after, and answers the tables' names. */
async function capture(
  from: TestDatabase,
  tables: readonly TypedValues[],
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
  streamed(tables: readonly TypedValues[]): number {
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

const numberText = (text: unknown): string =>
  text === null ? 'null' : String(Number((text as string).replace(/^(-?)inf.*/i, '$1Infinity')));

async function compared(
  from: TestDatabase,
  path: string,
  { tables, texts, options }: EqualTextRun,
): Promise<{ differences: string[]; columns: string[] }> {
  const instance = await DuckDBInstance.create(path);
  const duckdb = await instance.connect();
  const differences: string[] = [];
  const columns: string[] = [];
  try {
    for (const [at, [type]] of tables.entries()) {
      const table = `public.t_${at}`;
      const stored = await duckdb.runAndReadAll(`SELECT typeof(v) FROM ${table} LIMIT 1`);
      columns.push(String(stored.getRows()[0]?.[0]));
      if (texts !== undefined) {
        const source = await from.query(`SELECT ${texts.postgres} AS v FROM ${table} ORDER BY id`);
        const sink = await duckdb.runAndReadAll(`SELECT ${texts.duckdb} FROM ${table} ORDER BY id`);
        const shown = texts.numbers === true ? numberText : String;
        const wanted = source.map(({ v }) => shown(v));
        const got = sink.getRows().map(([v]) => shown(v));
        const first = wanted.findIndex((text, row) => text !== got[row]);
        if (first >= 0 || wanted.length !== got.length || got.length < 3) {
          differences.push(`${type}: ${got[first]} for ${wanted[first]}`);
        }
      }
      const modes = typeModes(options ?? {});
      const { columns: compared } = await columnsOf(from.client, tableName(table), { modes });
      await from.query('begin');
      const result = await compareRows(
        compared,
        postgresRows(from.client, table, compared),
        duckdbRows(duckdb, table, compared),
      );
      await from.query('rollback');
      if (result.first !== null || result.sinkRows < 3)
        differences.push(`${type}: ${result.first}`);
    }
  } finally {
    duckdb.closeSync();
    instance.closeSync();
  }
  return { differences, columns };
}
