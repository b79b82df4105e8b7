import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Capture, type CapturedChange } from '../../tests/support/capture.ts';
import { copying, start } from '../../tests/support/copying.ts';
import {
  complete,
  hurried,
  insert,
  registry,
  snapshotTaken,
  streaming,
  unacknowledged,
  withItems,
} from '../../tests/support/postgres-items.ts';
import { startPostgres, type TestPostgres } from '../../tests/support/postgres.ts';
import { postgresConnector } from './connector.ts';

interface Column {
  readonly name: string;
  readonly typeExpression: string;
}
interface Change {
  readonly type: string;
  readonly id: string;
  readonly table: {
    readonly primaryKeyColumnNames: string[];
    readonly columns: Column[];
    readonly attributes: { name: string; value: string }[];
  };
}

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

const soon = { timeout: 20_000 };
const wanted = { includeSchemaChanges: true };
const told = (changes: readonly CapturedChange[]): CapturedChange[] =>
  changes.filter(({ topic }) => topic === 'test');
const changeOf = ({ value }: CapturedChange): Change => (value['tableChanges'] as Change[])[0]!;
/** Type, table and columns. */
const brief = (record: CapturedChange): string => {
  const { type, id, table } = changeOf(record);
  return `${type} ${id} ${table.columns.map(({ name, typeExpression }) => `${name} ${typeExpression}`).join(', ')}`;
};

const type = (jdbcType: number, nativeType: number, typeName: string, expression = typeName) => ({
  jdbcType,
  nativeType,
  typeName,
  typeExpression: expression,
});

describe('schema changes', () => {
  test('tell each table before the rows of the snapshot, in the shape that Debezium has for MySQL', async () => {
    await using database = await server.createDatabase();
    await database.query(`
      CREATE TYPE mood AS ENUM ('sad', 'ok');
      CREATE TABLE "Odd ""one" (
        id bigint GENERATED ALWAYS AS IDENTITY, part text COLLATE "C", amount numeric(12,-2) NOT NULL DEFAULT 1,
        code char(3), label varchar(50) DEFAULT 'it''s', m mood, at timestamptz(3), t time, b bit(8),
        tags text[], prices numeric(10,2)[], n serial, gone int, free numeric, doubled int GENERATED ALWAYS AS (2) STORED,
        secret text DEFAULT 'hidden', ssn text, PRIMARY KEY (part, id));
      ALTER TABLE "Odd ""one" DROP COLUMN gone`);
    const columns = { 'public.Odd "one': { exclude: ['ssn'], mask: ['secret'] } };
    const { changes } = await snapshotTaken(hurried(database, { ...wanted, columns }));
    const [record] = told(changes);
    expect(told(changes).length).toBe(1);
    expect(record!.key).toBe(JSON.stringify({ databaseName: database.name }));
    expect(record!.value).toEqual({
      source: expect.objectContaining({
        connector: 'postgresql',
        snapshot: 'true',
        db: database.name,
        schema: 'public',
        table: 'Odd "one',
      }) as object,
      ts_ms: expect.any(BigInt) as bigint,
      databaseName: database.name,
      schemaName: 'public',
      ddl: null,
      tableChanges: [expect.any(Object)],
    });
    const { table, ...change } = changeOf(record!);
    expect(change).toEqual({ type: 'CREATE', id: '"public"."Odd ""one"' });
    expect(table).toMatchObject({
      defaultCharsetName: null,
      primaryKeyColumnNames: ['part', 'id'],
      comment: null,
      attributes: [{ name: 'replicaIdentity', value: 'default' }],
    });
    const plain = { charsetName: null, generated: false, comment: null };
    const column = (position: number, name: string, more: object): object => ({
      name,
      position,
      optional: true,
      autoIncremented: false,
      ...plain,
      length: null,
      scale: null,
      defaultValueExpression: null,
      enumValues: null,
      ...more,
    });
    const mood = changeOf(record!).table.columns.find(({ name }) => name === 'm') as unknown as {
      nativeType: number;
    };
    expect(table.columns).toEqual([
      column(1, 'id', { ...type(-5, 20, 'bigint'), optional: false, autoIncremented: true }),
      column(2, 'part', { ...type(12, 25, 'text'), optional: false }),
      column(3, 'amount', {
        ...type(2, 1700, 'numeric', 'numeric(12,-2)'),
        optional: false,
        length: 12,
        scale: -2,
        defaultValueExpression: '1',
      }),
      column(4, 'code', { ...type(1, 1042, 'character', 'character(3)'), length: 3 }),
      column(5, 'label', {
        ...type(12, 1043, 'character varying', 'character varying(50)'),
        length: 50,
        defaultValueExpression: "'it''s'::character varying",
      }),
      column(6, 'm', { ...type(12, mood.nativeType, 'mood'), enumValues: ['sad', 'ok'] }),
      column(7, 'at', {
        ...type(93, 1184, 'timestamp with time zone', 'timestamp(3) with time zone'),
        scale: 3,
      }),
      column(8, 't', type(92, 1083, 'time without time zone')),
      column(9, 'b', { ...type(-7, 1560, 'bit', 'bit(8)'), length: 8 }),
      column(10, 'tags', type(2003, 1009, 'text[]')),
      column(11, 'prices', {
        ...type(2003, 1231, 'numeric[]', 'numeric(10,2)[]'),
        length: 10,
        scale: 2,
      }),
      column(12, 'n', {
        ...type(4, 23, 'integer'),
        optional: false,
        autoIncremented: true,
        defaultValueExpression: `nextval('"Odd ""one_n_seq"'::regclass)`,
      }),
      column(13, 'free', type(2, 1700, 'numeric')),
      column(14, 'secret', type(12, 25, 'text')),
    ]);
  });

  test('come with the first change after them, and not if nothing changed', async () => {
    await using database = await withItems(server, 1);
    await database.query('CREATE TABLE quiet (id int PRIMARY KEY)');
    const options = hurried(database, wanted);
    const capture = await snapshotTaken(options);
    expect(told(capture.changes).map(brief)).toEqual([
      'CREATE "public"."items" id integer, name text',
      'CREATE "public"."quiet" id integer',
    ]);
    const from = capture.changes.length;
    {
      await using _ = streaming(options, capture);
      let id = 10;
      const changed = async (sql: string): Promise<void> => {
        await database.query(sql);
        await database.query(`INSERT INTO items VALUES (${++id}, 'x')`);
        const came = (): boolean => capture.changes.some(({ key }) => key === `{"id":${id}}`);
        await expect.poll(came, soon).toBe(true);
      };
      await changed('SELECT 1');
      await changed('ANALYZE items');
      await changed('ALTER TABLE items ADD COLUMN price numeric(8,2)');
      await changed('ALTER TABLE items ALTER price TYPE numeric(10,2)');
      await changed('ALTER TABLE items RENAME COLUMN price TO cost');
      await changed('ALTER TABLE items REPLICA IDENTITY FULL');
      await changed('ALTER TABLE items DROP COLUMN cost');
    }
    const items = 'ALTER "public"."items" id integer, name text';
    const found = told(capture.changes.slice(from));
    expect(found.map(brief)).toEqual([
      'CREATE "public"."items" id integer, name text',
      `${items}, price numeric(8,2)`,
      `${items}, price numeric(10,2)`,
      `${items}, cost numeric(10,2)`,
      `${items}, cost numeric(10,2)`,
      items,
    ]);
    expect(found.map((record) => changeOf(record).table.attributes[0]?.value)).toEqual([
      'default',
      'default',
      'default',
      'default',
      'full',
      'full',
    ]);
    const source = found[1]!.value['source'] as { lsn: bigint; txId: bigint; snapshot: string };
    const with13 = capture.changes.find(
      ({ key, topic }) => key === '{"id":13}' && topic !== 'test',
    )!;
    expect(source).toMatchObject({ lsn: with13.version, snapshot: 'false' });
  });

  test('come with their change once, when a restart falls between a description and its change', async () => {
    await using database = await withItems(server, 1);
    const options = hurried(database, wanted);
    const { last } = await snapshotTaken(options);
    await insert(database, 2, 2);
    const first = await unacknowledged(options, last, (came) => came(2));
    const { position } = first.at(-1)!;
    await database.query('ALTER TABLE items ADD COLUMN n int');
    await insert(database, 3, 3);
    const rest = await unacknowledged(options, position, (came) => came(2));
    expect(told(rest).map(brief)).toEqual([
      'CREATE "public"."items" id integer, name text, n integer',
    ]);
  });

  test.each(['with', 'without'])('tell a table %s a key before it is copied', async (how) => {
    await using database = await withItems(server, 3);
    if (how === 'without') {
      await database.query(
        'ALTER TABLE items DROP CONSTRAINT items_pkey; ALTER TABLE items REPLICA IDENTITY FULL',
      );
    }
    const options = hurried(database, wanted);
    const capture = await snapshotTaken(options);
    const from = capture.changes.length;
    await using run = copying(options, capture);
    await start(run, 'public.items');
    const copied = (): number => capture.changes.slice(from).filter(({ op }) => op === 'r').length;
    await expect.poll(copied, soon).toBe(3);
    const [record] = told(capture.changes.slice(from));
    expect(brief(record!)).toBe('CREATE "public"."items" id integer, name text');
    expect(record!.value['source']).toMatchObject({ snapshot: 'incremental', table: 'items' });
  });

  test('are told once by a snapshot that is interrupted, and not at all unless wanted', async () => {
    await using database = await withItems(server, 300);
    const options = hurried(database, { ...wanted, snapshotRowsPerRange: 50, batchRowsMax: 50 });
    const capture = new Capture(registry);
    for (let run = 0; run < 2; run++) {
      await using connector = postgresConnector(options);
      await capture.run(connector, {
        after: run === 0 ? null : capture.last,
        done: ({ position }) => (run === 0 ? capture.positions.length === 3 : complete(position)),
      });
    }
    expect(told(capture.changes).length).toBe(1);
    const { changes } = await snapshotTaken(hurried(database));
    expect(told(changes)).toEqual([]);
  });
});
