import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RecordCursor } from '../../broker/records.ts';
import { hurried, snapshotTaken, withItems } from '../../tests/support/postgres-items.ts';
import { startPostgres, type TestPostgres } from '../../tests/support/postgres.ts';
import type { ChangeBatch, Position } from '../connector.ts';
import { postgresConnector } from './connector.ts';
import type { PostgresOptions } from './options.ts';

/** `LARGE=1` runs the sizes that the documentation speaks of; otherwise small ones of the same shape. */
const large = process.env['LARGE'] !== undefined;
const ROWS = large ? 2_000_000 : 60_000;
const VALUE_BYTES = (large ? 100 : 8) * 1024 * 1024;
const TABLES = large ? 1_000 : 60;

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

interface Taken {
  changes: number;
  versions: bigint[];
  last: Position;
  /** Resident memory above what the process had before, at most. */
  readonly peakBytes: number;
}

/** Takes batches until `enough`, and then is gone, as after a kill: what was published is known. */
async function take(
  options: PostgresOptions,
  after: Position,
  enough: (taken: Taken, batch: ChangeBatch) => boolean,
): Promise<Taken> {
  await using connector = postgresConnector(options);
  const base = process.memoryUsage().rss;
  const taken = { changes: 0, versions: [] as bigint[], last: after, peakBytes: 0 };
  for await (const batch of connector.changes(after, AbortSignal.timeout(600_000))) {
    for (const { records } of batch.outgoing) {
      const cursor = new RecordCursor(records.written());
      while (cursor.next()) taken.versions.push(cursor.version);
    }
    taken.changes += batch.changes;
    taken.last = batch.position;
    taken.peakBytes = Math.max(taken.peakBytes, process.memoryUsage().rss - base);
    await connector.ack(batch.position);
    if (enough(taken, batch)) return taken;
  }
  throw new Error('the changes ended');
}

const report = (what: string, bytes: number): void => {
  if (large)
    process.stdout.write(
      `${what}: ${Math.round(bytes / 1024 ** 2)} MiB resident above the start\n`,
    );
};

describe('in bounded memory', () => {
  test(`a transaction of ${ROWS} rows is taken in parts, and gone on with in its middle`, async () => {
    await using database = await withItems(server, 1);
    const of = hurried(database, { batchRowsMax: 5_000, batchBytesMax: 2 * 1024 * 1024 });
    const { last } = await snapshotTaken(of);
    await database.query(
      `INSERT INTO items SELECT g, 'name ' || g FROM generate_series(2, ${ROWS + 1}) g`,
    );
    const first = await take(of, last, ({ changes }) => changes >= ROWS / 3);
    expect(first.changes).toBeLessThan(ROWS);
    const rest = await take(of, first.last, ({ changes }) => changes + first.changes >= ROWS);
    expect(first.changes + rest.changes).toBe(ROWS);
    const versions = new BigUint64Array([...first.versions, ...rest.versions]).sort();
    expect(versions.length).toBe(ROWS);
    const doubled = versions.some((version, index) => index > 0 && version === versions[index - 1]);
    expect(doubled).toBe(false);
    const peak = Math.max(first.peakBytes, rest.peakBytes);
    report(`${ROWS} rows`, peak);
    // The versions kept for the test are 24 bytes each at most, in a growing array.
    expect(peak).toBeLessThan(160 * 1024 ** 2 + ROWS * 64);
  }, 600_000);

  test('while nobody asks for more, no more than a batch is read, and the rest waits in the server', async () => {
    await using database = await withItems(server, 1);
    const batchBytesMax = 1024 * 1024;
    const of = hurried(database, { batchBytesMax });
    const { last } = await snapshotTaken(of);
    const rows = 40_000;
    await database.query(
      `INSERT INTO items SELECT g, repeat('x', 1000) FROM generate_series(2, ${rows + 1}) g`,
    );
    const sent = async (): Promise<unknown> => {
      const [found] = await database.query(
        `SELECT sent_lsn FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid
         WHERE s.database = current_database()`,
      );
      return found?.['sent_lsn'];
    };
    await using connector = postgresConnector(of);
    let changes = 0;
    let held = 0;
    for await (const batch of connector.changes(last, AbortSignal.timeout(60_000))) {
      const bytes = batch.outgoing.reduce((sum, { records }) => sum + records.bytes, 0);
      // What one read of the socket may bring on top.
      expect(bytes).toBeLessThan(batchBytesMax + 512 * 1024);
      changes += batch.changes;
      if (changes === rows) break;
      if (changes === 0 || held++ > 1) continue;
      // The server has sent what it can: all of it, if nobody held it back.
      for (let [before, same] = [await sent(), 0]; same < 10;) {
        await setTimeout(50);
        const now = await sent();
        same = now === before ? same + 1 : 0;
        before = now;
      }
    }
    expect([changes, held > 1]).toEqual([rows, true]);
  }, 600_000);

  test(`a value of ${VALUE_BYTES} bytes goes through whole`, async () => {
    await using database = await withItems(server, 1);
    const of = hurried(database);
    const { last } = await snapshotTaken(of);
    await database.query(`INSERT INTO items VALUES (2, repeat('x', ${VALUE_BYTES}))`);
    let bytes = 0;
    const taken = await take(of, last, ({ changes }, { outgoing }) => {
      bytes += outgoing.reduce((sum, { records }) => sum + records.bytes, 0);
      return changes >= 1;
    });
    expect(bytes).toBeGreaterThan(VALUE_BYTES);
    report(`a value of ${VALUE_BYTES} bytes`, taken.peakBytes);
    expect(taken.peakBytes).toBeLessThan(64 * 1024 ** 2 + 8 * VALUE_BYTES);
  }, 600_000);

  test(`${TABLES} tables are copied and streamed`, async () => {
    await using database = await server.createDatabase();
    await database.query(`DO $$ BEGIN FOR i IN 1..${TABLES} LOOP
      EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, name text)', i);
      EXECUTE format('INSERT INTO t%s VALUES (1, ''one'')', i);
      IF i % 20 = 0 THEN COMMIT; END IF;
    END LOOP; END $$`);
    const of = hurried(database);
    const capture = await snapshotTaken(of);
    expect(capture.changes.length).toBe(TABLES);
    await database.query(`DO $$ BEGIN FOR i IN 1..${TABLES} LOOP
      EXECUTE format('INSERT INTO t%s VALUES (2, ''two'')', i); END LOOP; END $$`);
    const taken = await take(of, capture.last, ({ changes }) => changes >= TABLES);
    expect(taken.changes).toBe(TABLES);
    report(`${TABLES} tables`, taken.peakBytes);
  }, 600_000);
});
