import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RecordCursor } from '../broker/records.ts';
import { postgresConnector } from '../connectors/postgres/connector.ts';
import { silent } from '../log.ts';
import type { AvroSchema } from '../schemas/avro.ts';
import { differences, TABLES } from './golden/postgres-differences.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from './support/postgres.ts';
import { avroType, decode, MemoryRegistry } from './support/recorded-stream.ts';

/**
 * The SQL that a real Debezium 3.7 was recorded with (Avro, Confluent converter, all defaults) runs
 * through our connector, snapshot and stream, and the records are compared field by field. What is
 * different on purpose is listed, with its reason, in golden/postgres-differences.ts.
 */
const folder = join(import.meta.dirname, 'golden/postgres');
const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
const script = (name: string): string =>
  read(name).replaceAll(/^\\ir (.*)$/gm, (_, included: string) => read(included));

const golden = JSON.parse(read('avro-schemas.json')) as {
  subjects: Record<string, number[]>;
  schemas: Record<string, AvroSchema>;
};

interface Seen {
  readonly topic: string;
  readonly op: string | null;
  readonly key: Record<string, unknown> | null;
  readonly before: Record<string, unknown> | null;
  readonly after: Record<string, unknown> | null;
  readonly headers: Readonly<Record<string, string>>;
}

const theirs: Seen[] = read('avro.jsonl')
  .split('\n')
  .filter((line) => line !== '')
  .map(
    (line) =>
      JSON.parse(line) as {
        topic: string;
        key: string | null;
        value: string | null;
        headers: Record<string, string>;
      },
  )
  .filter(({ topic }) => TABLES.some((table) => topic === `gold.public.${table}`))
  .map(({ topic, key, value, headers }) => ({
    ...parts(topic, theirDecoded(key), theirDecoded(value)),
    headers: Object.fromEntries(
      Object.entries(headers).filter(([name]) => !name.includes('.context.')),
    ) as Record<string, string>,
  }));

const registry = new MemoryRegistry();
const ours: Seen[] = [];
let server: TestPostgres;
let database: TestDatabase;

beforeAll(async () => {
  server = await startPostgres();
  database = await server.createDatabase();
  await database.query(script('1-before.sql'));
  const connector = postgresConnector({
    pipeline: 'gold',
    url: database.url,
    tables: TABLES.map((table) => `public.${table}`),
    prefix: 'gold',
    partitions: 1,
    version: '0.0.0',
    registry,
    log: silent,
    statusIntervalMs: 50,
  });
  const change = async (): Promise<void> => {
    for (const statement of statements(script('2-stream.sql'))) await database.query(statement);
  };
  let changed: Promise<void> = Promise.resolve();
  let streaming = false;
  for await (const batch of connector.changes(null, AbortSignal.timeout(20_000))) {
    for (const { topic, records } of batch.outgoing) {
      const cursor = new RecordCursor(Buffer.from(records.written()));
      while (cursor.next()) ours.push(seen(topic, cursor));
    }
    await connector.ack(batch.position);
    if (!streaming && !batch.position.includes('snapshot')) {
      streaming = true;
      // The snapshot's locks are let go when the next batch is asked for, so this cannot be awaited.
      changed = change();
    }
    if (ours.some(({ key }) => key?.['id'] === 999)) break;
  }
  await changed;
}, 60_000);

afterAll(async () => {
  await database[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** One by one, each its own transaction unless BEGIN says otherwise. */
function statements(sql: string): string[] {
  return sql
    .replaceAll(/^--.*$/gm, '')
    .split(/;(?=(?:[^']*'[^']*')*[^']*$)/)
    .filter((statement) => statement.trim() !== '');
}

function seen(topic: string, cursor: RecordCursor): Seen {
  const { key, value, headers } = cursor.plain();
  return {
    ...parts(
      topic,
      key === null ? null : decode(registry, key),
      value === null ? null : decode(registry, value),
    ),
    headers: Object.fromEntries(
      (headers ?? []).map(({ name, value: text }) => [name, String(text)]),
    ),
  };
}

function parts(
  topic: string,
  key: Record<string, unknown> | null,
  value: Record<string, unknown> | null,
): Omit<Seen, 'headers'> {
  const image = (name: string): Record<string, unknown> | null =>
    (value?.[name] ?? null) as Record<string, unknown> | null;
  const op = value === null ? null : String(value['op']);
  return { topic, op, key, before: image('before'), after: image('after') };
}

function theirDecoded(hex: string | null): Record<string, unknown> | null {
  if (hex === null) return null;
  const wire = Buffer.from(hex, 'hex');
  const schema = golden.schemas[wire.readUInt32BE(1)];
  return avroType(schema as AvroSchema).fromBuffer(wire.subarray(5)) as Record<string, unknown>;
}

const of = (records: readonly Seen[], table: string, snapshot: boolean): Seen[] => {
  const found = records.filter(
    ({ topic, op }) => topic === `gold.public.${table}` && (op === 'r') === snapshot,
  );
  return snapshot ? found.toSorted((a, b) => (plain(a.key) < plain(b.key) ? -1 : 1)) : found;
};

/** As text to compare: records of avsc have classes of their own. */
function plain(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (typeof each === 'bigint') return `${each}n`;
    if (typeof each === 'number' && !Number.isFinite(each)) return `${each}`;
    return Object.is(each, -0) ? '-0' : each;
  });
}

const met = new Set<string>();

describe.each(TABLES)('%s', (table) => {
  test('has the schemas of Debezium, but for what is listed', () => {
    for (const part of ['key', 'value']) {
      const subject = `gold.public.${table}-${part}`;
      const mine = registry.subjects.get(subject)?.[0];
      const their = golden.subjects[subject]?.[0];
      expect(mine === undefined).toBe(their === undefined);
      if (mine === undefined || their === undefined) continue;
      const got = fieldsOf(registry.schemas[mine - 1] as AvroSchema);
      const expected = fieldsOf(golden.schemas[their] as AvroSchema);
      for (const name of new Set([...got.keys(), ...expected.keys()])) {
        if (got.get(name) === expected.get(name)) continue;
        met.add(`${table}.${name} schema`);
        expect(differences[`${table}.${name}`]?.schema, `schema of ${table}.${name}`).toBeDefined();
      }
    }
  });

  test.each([
    ['snapshot', true],
    ['stream', false],
  ])('has the records of Debezium in the %s, but for what is listed', (_, snapshot) => {
    const mine = of(ours, table, snapshot);
    const their = of(theirs, table, snapshot).filter(
      ({ key, op }) => key !== null || op !== null, // tombstones without a key
    );
    expect(mine.map(({ op }) => op)).toEqual(their.map(({ op }) => op));
    mine.forEach((record, at) => {
      const expected = their[at] as Seen;
      const place = `${table} ${record.op} ${plain(record.key)}`;
      expect(plain(record.key), `key of ${place}`).toBe(plain(expected.key));
      for (const image of ['before', 'after'] as const) {
        const names = new Set(Object.keys({ ...record[image], ...expected[image] }));
        for (const name of names) {
          const [got, want] = [record[image]?.[name], expected[image]?.[name]];
          if (plain(got) === plain(want)) continue;
          met.add(`${table}.${name} value`);
          const listed = differences[`${table}.${name}`];
          expect(
            listed?.value,
            `${place} ${image}.${name}: ${plain(got)} for ${plain(want)}`,
          ).toBeDefined();
        }
      }
      for (const name of ['__debezium.newkey', '__debezium.oldkey']) {
        expect(record.headers[name], `header of ${place}`).toBe(expected.headers[name]);
      }
    });
  });
});

test('every difference that is listed is one', () => {
  const listed = Object.entries(differences).flatMap(([column, of]) =>
    Object.keys(of).map((kind) => `${column} ${kind}`),
  );
  expect(listed.toSorted()).toEqual([...met].toSorted());
});

/** Each field of a key, or of a value's row, as text. */
function fieldsOf(schema: AvroSchema): Map<string, string> {
  const { name, fields } = schema as unknown as {
    name: string;
    fields: { name: string; type: [unknown, { fields: { name: string }[] }] }[];
  };
  const columns = name === 'Key' ? fields : (fields[0]?.type[1].fields ?? []);
  return new Map(columns.map((column) => [column.name, plain(sorted(column))]));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, each]) => [name, sorted(each)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
