import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { json, type Capture, type CapturedChange } from '../../tests/support/capture.ts';
import { copying, soon, start } from '../../tests/support/copying.ts';
import { hurried, snapshotTaken } from '../../tests/support/postgres-items.ts';
import {
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../tests/support/postgres.ts';
import { visibleIn } from './stream-cuts.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

const LOG = 'CREATE TABLE log (n int, line text); ALTER TABLE log REPLICA IDENTITY FULL;';
const ROWS = `INSERT INTO log SELECT g, repeat('x', 200) FROM generate_series(1, 30000) g;`;

async function withLog(sql: string): Promise<TestDatabase> {
  const database = await server.createDatabase();
  await database.query(`CREATE TABLE first (id int PRIMARY KEY); ${sql}`);
  return database;
}

const ofLog = ({ changes }: Capture): CapturedChange[] =>
  changes.filter(({ topic }) => topic.endsWith('log'));

/**
 * The rows that a reader of the topic has at its end, in order, each as often as it is there. He starts
 * at the last truncate if not said otherwise; a row that goes must have come.
 */
function told(capture: Capture, from?: number): string[] {
  const changes = ofLog(capture);
  const rows = new Map<string, number>();
  const add = (row: CapturedChange['after'], count: 1 | -1): void => {
    if (row === null) return;
    const text = json(row);
    const now = (rows.get(text) ?? 0) + count;
    if (now < 0) throw new Error(`${text} goes before it came`);
    rows.set(text, now);
  };
  const start = from ?? changes.findLastIndex(({ op }) => op === 't');
  for (const { op, before, after } of changes.slice(start)) {
    if (op === 't') rows.clear();
    add(before, -1);
    add(after, 1);
  }
  return [...rows].flatMap(([row, count]) => Array<string>(count).fill(row)).sort();
}

async function contents(database: TestDatabase): Promise<string[]> {
  return (await database.query('SELECT * FROM log')).map((row) => json(row)).sort();
}

/** Waits until everything that was committed has come. */
async function caughtUp(database: TestDatabase, capture: Capture, id: number): Promise<void> {
  await database.query('INSERT INTO first VALUES ($1)', [id]);
  const key = JSON.stringify({ id });
  await expect.poll(() => capture.changes.some((change) => change.key === key), soon).toBe(true);
}

/** Inserts, updates and deletes rows until it is told to stop, in transactions that overlap. */
async function writing(database: TestDatabase, seed: number, signal: AbortSignal): Promise<void> {
  const client = new Client({ connectionString: database.url });
  await client.connect();
  for (let turn = 1; !signal.aborted; turn++) {
    const n = 1 + ((turn * 7919 * seed) % 30_000);
    await client.query('BEGIN');
    await client.query('INSERT INTO log VALUES ($1, $2)', [n, `${seed}.${turn}`]);
    await client.query(`UPDATE log SET line = $2 WHERE n = $1`, [n, `by ${seed}.${turn}`]);
    if (turn % 3 === 0) await client.query('DELETE FROM log WHERE n = $1', [(n * 31) % 30_000]);
    await client.query(turn % 7 === 0 ? 'ROLLBACK' : 'COMMIT');
  }
  await client.end();
}

const bounds = { batchBytesMax: 256 * 1024 };

describe('a table without a key', () => {
  test('that is added to the configuration is copied by position, whatever is written meanwhile', async () => {
    await using database = await withLog(`${LOG} ${ROWS} CREATE INDEX ON log (n)`);
    const of = hurried(database, { tables: ['public.first'], ...bounds });
    const capture = await snapshotTaken(of);
    const stop = new AbortController();
    const writers = [1, 2, 3].map((seed) => writing(database, seed, stop.signal));
    {
      await using running = copying({ ...of, tables: ['public.*'] }, capture);
      await expect.poll(() => running.state('public.log'), soon).toBe('done');
      stop.abort();
      await Promise.all(writers);
      await caughtUp(database, capture, 1);
    }
    expect(ofLog(capture).filter(({ op }) => op === 'r').length).toBeGreaterThan(10_000);
    expect(told(capture)).toEqual(await contents(database));
    expect(capture.positions).toEqual(capture.positions.toSorted());
    await using _ = copying({ ...of, tables: ['public.*'] }, capture);
    await database.query(`INSERT INTO log VALUES (-1, 'later')`);
    await caughtUp(database, capture, 2);
    expect(told(capture)).toEqual(await contents(database));
  });

  test('that is copied again replaces by a truncate what was there, and loses no change', async () => {
    await using database = await withLog(`${LOG} ${ROWS} CREATE INDEX ON log (n)`);
    const of = hurried(database, bounds);
    const capture = await snapshotTaken(of);
    const stop = new AbortController();
    await using running = copying(of, capture);
    const writers = [1, 2].map((seed) => writing(database, seed, stop.signal));
    for (let time = 1; time <= 3; time++) {
      await start(running, 'public.log');
      await expect.poll(() => running.state('public.log'), soon).toBe('done');
      await caughtUp(database, capture, time);
    }
    stop.abort();
    await Promise.all(writers);
    await caughtUp(database, capture, 4);
    expect(told(capture, 0)).toEqual(await contents(database));
    // Behind each truncate come the rows, all of them before the first change.
    const [first, ...copied] = ofLog(capture)
      .map(({ op }) => op)
      .join('')
      .split('t');
    expect(copied.length).toBe(3);
    expect(first).toMatch(/^r{30000}[cud]*$/);
    for (const each of copied) expect(each).toMatch(/^r{10000,}[cud]*$/);
  });

  test('has its rows before every change that they do not have, and others wait only for those', async () => {
    await using database = await withLog(`${LOG} ${ROWS}`);
    const of = hurried(database, { tables: ['public.first'], ...bounds });
    const capture = await snapshotTaken(of);
    let batches = 0;
    const sent = async (sql: string): Promise<void> => {
      await database.query(sql);
      const [end] = await database.query('SELECT pg_current_wal_flush_lsn()::text AS lsn');
      const reached = `SELECT 1 FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid
        WHERE s.database = current_database() AND r.sent_lsn >= $1::pg_lsn`;
      const there = async (): Promise<number> =>
        (await database.query(reached, [end?.['lsn']])).length;
      await expect.poll(there, soon).toBe(1);
    };
    await using running = copying({ ...of, tables: ['public.*'] }, capture, async () => {
      if (!ofLog(capture).some(({ op }) => op === 't')) return;
      batches++;
      if (batches === 2) await sent('INSERT INTO first VALUES (1)');
      if (batches === 12) await sent(`UPDATE log SET line = 'changed' WHERE n = 29999`);
      if (batches === 13) await sent('INSERT INTO first VALUES (2)');
    });
    await expect.poll(() => running.state('public.log'), soon).toBe('done');
    await caughtUp(database, capture, 3);
    const order = capture.changes.map(({ op, key }) => (key === null ? op : 'k')).join('');
    const runs = order.replaceAll(/(.)\1*/g, (run) => `${run.charAt(0)}${run.length} `);
    expect(runs).toMatch(/^t1 r\d+ k1 r\d+ u1 k2 $/);
    expect(told(capture)).toEqual(await contents(database));
  });

  test('whose copy is killed again and again ends right', async () => {
    await using database = await withLog(`${LOG} ${ROWS} CREATE INDEX ON log (n)`);
    const of = hurried(database, { tables: ['public.first'], ...bounds });
    const capture = await snapshotTaken(of);
    const wider = { ...of, tables: ['public.*'] };
    const stopWriting = new AbortController();
    const writers = [1, 2].map((seed) => writing(database, seed, stopWriting.signal));
    for (let life = 0; life < 4; life++) {
      let batches = 0;
      const reached = Promise.withResolvers<void>();
      const killed = Promise.withResolvers<void>();
      // Published, and then nothing any more: the process is gone.
      const running = copying(wider, capture, () => {
        if (ofLog(capture).at(-1)?.op === 'r') batches++;
        if (batches < 2 + life * 3) return Promise.resolve();
        reached.resolve();
        return killed.promise;
      });
      await reached.promise;
      const ended = running[Symbol.asyncDispose]();
      killed.resolve();
      await ended;
    }
    await using running = copying(wider, capture);
    await expect.poll(() => running.state('public.log'), soon).toBe('done');
    stopWriting.abort();
    await Promise.all(writers);
    await caughtUp(database, capture, 1);
    expect(told(capture)).toEqual(await contents(database));
    expect(capture.positions).toEqual(capture.positions.toSorted());
  });

  test('that is partitioned is copied as one, also while a transaction is open that has written to it', async () => {
    await using database = await withLog(`
      CREATE TABLE log (n int, line text) PARTITION BY RANGE (n);
      CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (0) TO (100);
      CREATE TABLE log_2 PARTITION OF log FOR VALUES FROM (100) TO (1000);
      ALTER TABLE log REPLICA IDENTITY FULL; ALTER TABLE log_1 REPLICA IDENTITY FULL;
      ALTER TABLE log_2 REPLICA IDENTITY FULL;
      INSERT INTO log SELECT g, 'line' FROM generate_series(1, 200) g`);
    const of = hurried(database, { tables: ['public.first'] });
    const capture = await snapshotTaken(of);
    const older = new Client({ connectionString: database.url });
    await older.connect();
    await older.query(`BEGIN; INSERT INTO log VALUES (300, 'before it is published')`);
    await using running = copying({ ...of, tables: ['public.first', 'public.log'] }, capture);
    await expect.poll(() => running.state('public.log'), soon).toBe('waiting');
    await older.query(`INSERT INTO log VALUES (301, 'after'); COMMIT`);
    await older.end();
    await expect.poll(() => running.state('public.log'), soon).toBe('done');
    await database.query(`UPDATE log SET line = 'new' WHERE n < 150`);
    await caughtUp(database, capture, 1);
    expect(told(capture)).toEqual(await contents(database));
  });

  test('that somebody is altering is copied afterwards, and the stream goes on meanwhile', async () => {
    await using database = await withLog(`${LOG} INSERT INTO log VALUES (1, 'one')`);
    const of = hurried(database, { tables: ['public.first'] });
    const capture = await snapshotTaken(of);
    const wider = { ...of, tables: ['public.*'] };
    const altering = new Client({ connectionString: database.url });
    await altering.connect();
    await using running = copying(wider, capture);
    await expect.poll(() => running.state('public.log'), soon).toBe('done');
    await altering.query('BEGIN; LOCK TABLE log IN ACCESS EXCLUSIVE MODE');
    await start(running, 'public.log');
    await caughtUp(database, capture, 1);
    expect(running.state('public.log')).not.toBe('done');
    await altering.query('ALTER TABLE log ADD more int DEFAULT 7; COMMIT');
    await altering.end();
    await expect.poll(() => running.state('public.log'), soon).toBe('done');
    expect(told(capture)).toEqual([json({ n: 1, line: 'one', more: 7 })]);
  });
});

test('a snapshot sees a transaction by the lower half of its id', () => {
  const sees = visibleIn('100:110:103,107');
  expect([99, 100, 103, 104, 107, 109, 110, 111].filter(sees)).toEqual([99, 100, 104, 109]);
  const wrapped = visibleIn(`${2n ** 32n - 2n}:${2n ** 32n + 5n}:${2n ** 32n + 1n}`);
  expect([2 ** 32 - 3, 2 ** 32 - 1, 0, 1, 2, 4, 5].filter(wrapped)).toEqual([
    2 ** 32 - 3,
    2 ** 32 - 1,
    0,
    2,
    4,
  ]);
});
