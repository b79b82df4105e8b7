import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AvroSchema } from '../../schemas/avro.ts';
import { json, type CapturedChange } from '../../tests/support/capture.ts';
import {
  hurried,
  insert,
  registry,
  snapshotTaken,
  unacknowledged,
  withItems,
} from '../../tests/support/postgres-items.ts';
import { startPostgres, type TestPostgres } from '../../tests/support/postgres.ts';

const golden = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../tests/golden/postgres/avro-schemas.json'), 'utf8'),
) as { subjects: Record<string, number[]>; schemas: Record<string, AvroSchema> };

interface Block {
  readonly id: string;
  readonly total_order: bigint;
  readonly data_collection_order: bigint;
}

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

const told = (changes: readonly CapturedChange[]): Record<string, unknown>[] =>
  changes.filter(({ topic }) => topic === 'test.transaction').map(({ value }) => value);
const what = (changes: readonly CapturedChange[]): string[] =>
  changes.map(({ topic, key, value }) => json([topic, key, value['transaction'] ?? value])).sort();
const blockOf = ({ value }: CapturedChange): Block | null => value['transaction'] as Block | null;

describe('transactions', () => {
  test('have the schemas that Debezium registers', async () => {
    await using database = await withItems(server, 1);
    const options = hurried(database, { provideTransactionMetadata: true });
    const { last } = await snapshotTaken(options);
    await unacknowledged(options, last, async (came) => {
      await insert(database, 2, 2);
      await came(3);
    });
    for (const part of ['key', 'value']) {
      const ours = registry.subjects.get(`test.transaction-${part}`)![0]!;
      const theirs = golden.subjects[`gold.transaction-${part}`]![0]!;
      expect(registry.schemas[ours - 1]).toEqual(golden.schemas[theirs]);
    }
  });

  test('number their events as a whole and by table; a truncate is one event of each table it empties', async () => {
    await using database = await withItems(server, 1);
    await database.query('CREATE TABLE notes (id int PRIMARY KEY)');
    const options = hurried(database, { provideTransactionMetadata: true, partitions: 3 });
    const { last, changes: before } = await snapshotTaken(options);
    expect(before.map(blockOf)).toEqual([null]);
    const changes = await unacknowledged(options, last, async (came) => {
      await database.query(
        `BEGIN; INSERT INTO items VALUES (2, 'two'); INSERT INTO notes VALUES (1);
         UPDATE items SET id = 3 WHERE id = 2; SELECT pg_logical_emit_message(true, 'p', 'x');
         TRUNCATE items, notes; INSERT INTO notes VALUES (2); COMMIT`,
      );
      await came(14);
    });
    const [begin, end] = told(changes);
    expect(begin).toEqual({
      status: 'BEGIN',
      id: expect.stringMatching(/^\d+:\d+$/) as string,
      event_count: null,
      data_collections: null,
      ts_ms: expect.any(BigInt) as bigint,
    });
    expect(end).toEqual({
      status: 'END',
      id: begin!['id'],
      event_count: 8n,
      data_collections: [
        { data_collection: 'public.items', event_count: 4n },
        { data_collection: 'public.notes', event_count: 3n },
        { data_collection: 'LOGICAL_DECODING_MESSAGE', event_count: 1n },
      ],
      ts_ms: begin!['ts_ms'],
    });
    const events = changes.filter(({ topic }) => topic !== 'test.transaction');
    const orders = events.map((event) => {
      const block = blockOf(event)!;
      expect(block.id).toBe(begin!['id']);
      expect((event.value['source'] as { ts_ms: bigint }).ts_ms).toBe(begin!['ts_ms']);
      return `${block.total_order} ${event.topic} ${event.op} ${block.data_collection_order}`;
    });
    expect(orders.sort()).toEqual([
      '1 test.public.items c 1',
      '2 test.public.notes c 1',
      '3 test.public.items d 2',
      '4 test.public.items c 3',
      '5 test.message m 1',
      ...Array<string>(3).fill('6 test.public.items t 4'),
      ...Array<string>(3).fill('7 test.public.notes t 2'),
      '8 test.public.notes c 3',
    ]);
  });

  test('without an event are not told, and nothing is told unless it is wanted', async () => {
    await using database = await withItems(server, 1);
    const work = async (came: (changes: number) => Promise<void>, count: number): Promise<void> => {
      await database.query(`BEGIN; SELECT pg_logical_emit_message(true, 'secret', 'x'); COMMIT`);
      await database.query(`UPDATE items SET name = name || 'x'`);
      await came(count);
    };
    const wanted = hurried(database, {
      provideTransactionMetadata: true,
      messagePrefixExclude: ['secret'],
    });
    const { last } = await snapshotTaken(wanted);
    const changes = await unacknowledged(wanted, last, (came) => work(came, 3));
    expect(told(changes).map(({ status }) => status)).toEqual(['BEGIN', 'END']);
    const unwanted = hurried(database);
    const { last: again } = await snapshotTaken(unwanted);
    const [change] = await unacknowledged(unwanted, again, (came) => work(came, 2));
    expect(blockOf(change!)).toBeNull();
  });

  test('that are read in parts go on with their numbers after a restart in the middle', async () => {
    await using database = await withItems(server, 1);
    const options = hurried(database, { provideTransactionMetadata: true, batchRowsMax: 1 });
    const { last } = await snapshotTaken(options);
    const count = 6000;
    await database.query(
      `BEGIN; INSERT INTO items SELECT g, repeat('x', 100) FROM generate_series(2, ${count + 1}) g; COMMIT`,
    );
    // BEGIN, the rows, END.
    const whole = await unacknowledged(options, last, (came) => came(count + 2));
    const cuts = [...new Set(whole.map(({ position }) => position))];
    expect(cuts.length).toBeGreaterThan(4);
    for (const cut of [cuts[0]!, cuts[2]!, cuts.at(-2)!]) {
      const left = whole.filter(({ position }) => position > cut);
      const rest = await unacknowledged(options, cut, (came) => came(left.length));
      expect(what(rest)).toEqual(what(left));
    }
  });
});
