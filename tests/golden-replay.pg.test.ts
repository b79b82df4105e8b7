import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Position } from '../connectors/connector.ts';
import { differences, REFUSED, TABLES } from './golden/postgres-differences.ts';
import { connectField, type ConnectSchema } from './support/connect-schema.ts';
import {
  compareJson,
  compareRows,
  jsonRecords,
  part,
  sorted,
  topicsOf,
  type Differs,
  type JsonRecord,
} from './support/golden-compare.ts';
import {
  avroRecords,
  linesOf,
  type GoldenLine,
  type GoldenRecord,
  type GoldenRow,
} from './support/golden-records.ts';
import { beforeSnapshot, replayed, runPaced } from './support/golden-replay.ts';
import {
  hasPostgres,
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from './support/postgres.ts';

const snapshotAndStream = TABLES.flatMap((table) =>
  [true, false].map((snapshot) => [snapshot ? 'snapshot' : 'stream', table, snapshot] as const),
);

type SchemaRow = ReadonlyMap<string, string>;

const connectRow = (row: GoldenRow): SchemaRow =>
  new Map(
    [...row].map(([, { column, schema, field }]) => [
      column,
      JSON.stringify(sorted(connectField(field, schema))),
    ]),
  );

function theirRow(line: GoldenLine, image: 'key' | 'after'): SchemaRow | null {
  const { schema } = ((image === 'key' ? line.key : line.value) ?? {}) as {
    schema?: ConnectSchema;
  };
  if (schema === undefined) return null;
  const fields = schema['fields'] as readonly ConnectSchema[];
  const columns =
    image === 'key'
      ? fields
      : (fields.find(({ field }) => field === 'after')?.['fields'] as
          | readonly ConnectSchema[]
          | undefined);
  if (columns === undefined) return null;
  return new Map(
    columns.map((column) => [String(column['field']), JSON.stringify(sorted(unquoted(column)))]),
  );
}

/** Every schema of ours is one of theirs, column by column, and every one of theirs is one of ours. */
function compareSchemas(
  [table, differs]: readonly [string, Differs],
  mine: readonly SchemaRow[],
  theirs: readonly SchemaRow[],
): void {
  const columnsOf = (rows: readonly SchemaRow[], name: string): string[] =>
    [...new Set(rows.map((row) => row.get(name) ?? 'none'))].toSorted();
  for (const name of new Set([...mine, ...theirs].flatMap((row) => [...row.keys()]))) {
    const [got, want] = [columnsOf(mine, name), columnsOf(theirs, name)];
    if (got.join() !== want.join())
      differs(table, name, 'schema', `${got.join()} for ${want.join()}`);
  }
}

const distinct = (rows: readonly SchemaRow[]): SchemaRow[] => [
  ...new Map(rows.map((row) => [JSON.stringify([...row]), row])).values(),
];

const unquoted = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value), (_, each: unknown) =>
    typeof each === 'object' && each !== null && 'text' in each ? Number(each.text) : each,
  );

/**
 * The SQL that a real Debezium 3.7 was recorded with (all defaults) runs through our connector, snapshot
 * and stream, and the records are compared field by field: with those of the Avro converter, of the JSON
 * converter, and with the schemas of the latter. What is different on purpose is listed, with its reason,
 * in golden/postgres-differences.ts.
 * It was recorded on PostgreSQL 15, which is not there on every machine.
 */
describe.each(([15, 18] as const).filter(hasPostgres))('PostgreSQL %i', (version) => {
  let server: TestPostgres;
  let database: TestDatabase;
  let ours: readonly GoldenRecord[];
  let end: Position;

  beforeAll(async () => {
    server = await startPostgres({ version });
    database = await server.createDatabase();
    await database.query(beforeSnapshot());
    const found = await replayed(database, {
      tables: TABLES,
      change: (until) => runPaced(database, until),
      ends: ({ key }) => key?.get('id')?.text === '"999"',
    });
    ours = found.records;
    end = found.position;
  }, 60_000);

  afterAll(async () => {
    await database[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const met = new Set<string>();

  /** Notes a difference; those that are not listed fail the test. */
  let unlisted: string[] = [];
  beforeEach(() => {
    unlisted = [];
  });
  const differs: Differs = (table, column, kind, how) => {
    met.add(`${table}.${column} ${kind}`);
    const listed = differences[`${table}.${column}`]?.[kind];
    if (listed === undefined) unlisted.push(`${table}.${column} ${kind}: ${how}`);
  };

  describe('the Avro converter', () => {
    const theirs = avroRecords();

    test.each(snapshotAndStream)(
      'wrote the same in the %s of %s, but for what is listed',
      (_, table, snapshot) => {
        const mine = part(ours, [`gold.public.${table}`], snapshot);
        const their = part(theirs, topicsOf(table), snapshot);
        expect(mine.map(({ op }) => op)).toEqual(their.map(({ op }) => op));
        mine.forEach((record, at) => {
          const expected = their[at] as GoldenRecord;
          compareRows([table, differs], record.key, expected.key);
          compareRows([table, differs], record.before, expected.before);
          compareRows([table, differs], record.after, expected.after);
          for (const name of ['__debezium.newkey', '__debezium.oldkey']) {
            expect(record.headers[name], `header of ${table}`).toBe(expected.headers[name]);
          }
        });
        expect(unlisted).toEqual([]);
      },
    );
  });

  describe('the JSON converter', () => {
    const theirs = jsonRecords(linesOf('default.jsonl'), (value) => value);

    test.each(snapshotAndStream)(
      'wrote the same in the %s of %s, but for what is listed',
      (_, table, snapshot) => {
        const mine = part(ours, [`gold.public.${table}`], snapshot);
        const their = part(theirs, topicsOf(table), snapshot);
        expect(mine.map(({ op }) => op)).toEqual(their.map(({ op }) => op));
        mine.forEach((record, at) => {
          const { key, value } = (their[at] as JsonRecord).line;
          const envelope = value as Record<string, unknown> | null;
          compareJson([table, differs], record.key, key);
          compareJson([table, differs], record.before, envelope?.['before'] ?? null);
          compareJson([table, differs], record.after, envelope?.['after'] ?? null);
        });
        expect(unlisted).toEqual([]);
      },
    );
  });

  describe('its schemas', () => {
    const lines = linesOf('default-with-schemas.jsonl');

    test.each(TABLES)(
      'of %s are what Kafka Connect reads from ours, but for what is listed',
      (table) => {
        const mine = part(ours, [`gold.public.${table}`], false).concat(
          part(ours, [`gold.public.${table}`], true),
        );
        for (const image of ['key', 'after'] as const) {
          const got = distinct(mine.flatMap((record) => record[image] ?? []).map(connectRow));
          const want = distinct(
            lines
              .filter(({ topic }) => topicsOf(table).includes(topic))
              .flatMap((line) => theirRow(line, image) ?? []),
          );
          compareSchemas([table, differs], got, want);
        }
        expect(unlisted).toEqual([]);
      },
    );
  });

  test.each(Object.entries(REFUSED))(
    'the table %s is refused with the remedy: %s',
    async (table) => {
      await using other = await server.createDatabase();
      await other.query(beforeSnapshot());
      const options = { slot: 'refused' };
      const run = { tables: [table], options, change: async () => {}, ends: () => false };
      await expect(replayed(other, run)).rejects.toMatchObject({ code: 'SOURCE_IDENTITY' });
    },
  );

  test('a table that is made and renamed while the stream goes on comes whole with the next start', async () => {
    const run = {
      tables: [...TABLES, 'reborn'],
      after: end,
      change: async () => {},
      ends: ({ topic, key }: GoldenRecord) =>
        topic === 'gold.public.reborn' && key?.get('id')?.text === '"2"',
    };
    const { records } = await replayed(database, run);
    // Debezium has (1) on a topic `born`, without a key, and (2) on `reborn`.
    const seen = records
      .filter(({ topic }) => topic === 'gold.public.reborn')
      .map(({ op, key, after }) => [op, key?.get('id')?.text, after?.get('v')?.text]);
    expect(seen).toEqual([
      ['r', '"1"', '"new table"'],
      ['r', '"2"', '"renamed"'],
    ]);
  });

  test('every difference that is listed is one', () => {
    const listed = Object.entries(differences).flatMap(([column, of]) =>
      Object.keys(of).map((kind) => `${column} ${kind}`),
    );
    expect(listed.toSorted()).toEqual([...met].toSorted());
  });
});
