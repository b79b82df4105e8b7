import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { silent } from '../../log.ts';
import { batchOf, memoryRegistry, TableChangesBuilder } from '../../tests/support/changes.ts';
import { duckdbSink, openDuckdbReadOnly, type DuckdbSink } from './sink.ts';

const signal = new AbortController().signal;
const registry = memoryRegistry();
let folder: string;
let path: string;
let sink: DuckdbSink;
let orders: TableChangesBuilder;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-query-'));
  path = join(folder, 'shop.duckdb');
  const columns = [
    { name: 'id', type: { kind: 'int64' }, optional: false },
    { name: 'name', type: { kind: 'string' }, optional: true },
  ] as const;
  orders = await TableChangesBuilder.register(
    { topic: 'shop.public.orders', key: ['id'], columns },
    registry,
  );
  sink = open();
  await sink.open([{ topic: orders.topic, partition: 0 }]);
  await write(0, 10);
});

afterAll(async () => {
  await sink[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const open = (): DuckdbSink =>
  duckdbSink({ path, pipeline: 'query', prefix: 'shop', threads: 1 }, { registry, log: silent });

async function write(base: number, count: number): Promise<void> {
  const records = Array.from({ length: count }, (_, index) =>
    orders.record({ op: 'c', version: base + index + 1, after: { id: base + index, name: 'x' } }),
  );
  await sink.write([batchOf(records, { topic: orders.topic, base })], signal);
}

const openElsewhere = (mode: string): string =>
  execFileSync(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `
      const { ${mode} } = await import(${JSON.stringify(join(import.meta.dirname, 'sink.ts'))});
      const path = ${JSON.stringify(path)};
      const sink = ${mode === 'duckdbSink' ? "duckdbSink({ path, pipeline: 'p', prefix: 'shop' }, {})" : 'await openDuckdbReadOnly(path).catch((e) => ({ query: () => { throw e; } }))'};
      try { console.log(JSON.stringify((await sink.query('SELECT count(*) FROM public.orders')).rows)); }
      catch (error) { console.log(error.code, error.message); }`,
    ],
    { encoding: 'utf8' },
  ).trim();

test.each([
  'SELECT id, name FROM public.orders WHERE id = 3',
  'FROM public.orders WHERE id = 3',
  'WITH o AS (SELECT * FROM public.orders) SELECT id, name FROM o WHERE id = 3;',
])('%s answers', async (sql) => {
  const { columns, rows, truncated } = await sink.query(sql);
  expect(columns.slice(0, 2)).toEqual([
    { name: 'id', type: 'BIGINT' },
    { name: 'name', type: 'VARCHAR' },
  ]);
  expect(rows[0]?.slice(0, 2)).toEqual(['3', 'x']);
  expect(truncated).toBe(false);
});

test.each([
  'DESCRIBE public.orders',
  'SHOW ALL TABLES',
  "PRAGMA table_info('public.orders')",
  'VALUES (1)',
])('%s answers too', async (sql) => {
  expect((await sink.query(sql)).rows.length).toBeGreaterThan(0);
});

test.each([
  'DELETE FROM public.orders',
  'INSERT INTO public.orders SELECT * FROM public.orders RETURNING id',
  'WITH o AS (SELECT 1 AS i) DELETE FROM public.orders USING o WHERE id = o.i',
  'EXPLAIN ANALYZE DELETE FROM public.orders',
  'CREATE TABLE public.mine (a INTEGER)',
  'DROP SCHEMA _millrace CASCADE',
  "COPY public.orders TO '/tmp/never.csv'",
  "ATTACH '/tmp/never.duckdb'",
  'SET threads = 7',
  'PRAGMA threads = 7',
  'CHECKPOINT',
  'COMMIT',
  'SELECT 1; SELECT 2',
  'SELECT 1; DELETE FROM public.orders',
  'SELECT * FROM public.nowhere',
  'not SQL at all',
  '',
])('%s is refused and changes nothing', async (sql) => {
  await expect(sink.query(sql)).rejects.toMatchObject({ code: 'QUERY_FAILED' });
  expect((await sink.query('SELECT count(*) FROM public.orders')).rows).toEqual([['10']]);
});

test('more rows than asked for are cut off, and said to be', async () => {
  const { rows, truncated } = await sink.query('SELECT range FROM range(1000000)', { rowsMax: 5 });
  expect(rows.length).toBe(5);
  expect(truncated).toBe(true);
});

test('queries answer while a write is going on', async () => {
  const writing = write(10, 20_000);
  const counts: unknown[] = [];
  for (let query = 0; query < 5; query++) {
    counts.push((await sink.query('SELECT count(*) FROM public.orders')).rows[0]?.[0]);
  }
  await writing;
  // Before or after the write, never a part of it.
  expect(counts.filter((count) => count !== '10' && count !== '20010')).toEqual([]);
  expect((await sink.query('SELECT count(*) FROM public.orders')).rows).toEqual([['20010']]);
});

test('a query ends when its signal aborts', async () => {
  const stop = new AbortController();
  const reason = new Error('enough');
  const slow = sink.query('SELECT count(*) FROM range(100000) a, range(1000000) b', {
    signal: stop.signal,
  });
  setImmediate(() => stop.abort(reason));
  await expect(slow).rejects.toBe(reason);
});

test('another process is told who has the file, and may read it afterwards', async () => {
  const inUse = `SINK_IN_USE ${path} is open in process ${process.pid}`;
  expect(openElsewhere('duckdbSink')).toBe(inUse);
  expect(openElsewhere('openDuckdbReadOnly')).toBe(inUse);
  await sink[Symbol.asyncDispose]();
  expect(openElsewhere('openDuckdbReadOnly')).toBe('[["20010"]]');
  await using reader = await openDuckdbReadOnly(path);
  expect((await reader.query('SELECT max(id) FROM public.orders')).rows).toEqual([['20009']]);
});

test('a path that is no DuckDB file is refused', async () => {
  const wrong = duckdbSink(
    { path: import.meta.filename, pipeline: 'p', prefix: 'shop' },
    { registry, log: silent },
  );
  await expect(wrong.query('SELECT 1')).rejects.toMatchObject({ code: 'SINK_UNREADABLE' });
  await expect(openDuckdbReadOnly(join(folder, 'none.duckdb'))).rejects.toMatchObject({
    code: 'SINK_UNREADABLE',
  });
});

test('a sink that is closed while it is asked answers or says so, and the process lives', async () => {
  for (let round = 0; round < 60; round++) {
    const closing = duckdbSink(
      { path: join(folder, 'closing.duckdb'), pipeline: 'query', prefix: 'shop', threads: 1 },
      { registry, log: silent },
    );
    await closing.query('SELECT 1');
    const asked = Array.from({ length: 8 }, () => closing.query('SELECT 1'));
    for (let turn = 0; turn < round % 5; turn++) await nextTurn();
    await closing[Symbol.asyncDispose]();
    for (const answer of await Promise.allSettled(asked)) {
      const code: unknown = answer.status === 'fulfilled' ? 'answered' : answer.reason.code;
      expect(['answered', 'NOT_RUNNING']).toContain(code);
    }
  }
});
