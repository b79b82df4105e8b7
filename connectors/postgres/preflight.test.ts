import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MillraceError } from '../../errors.ts';
import { hurried, snapshotTaken, streaming } from '../../tests/support/postgres-items.ts';
import {
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../tests/support/postgres.ts';
import type { CapturedTable } from '../connector.ts';
import { postgresConnector } from './connector.ts';
import type { PostgresOptions } from './options.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

async function plan(options: PostgresOptions): Promise<readonly CapturedTable[]> {
  await using connector = postgresConnector(options);
  return connector.plan(AbortSignal.timeout(10_000));
}

async function refusal(options: PostgresOptions): Promise<MillraceError> {
  const error = await plan(options).catch((error: unknown) => error);
  if (error instanceof MillraceError) return error;
  throw new Error('the plan was not refused', { cause: error });
}

/** Runs the SQL of a remedy, which may begin with who should run it. */
async function mend(database: TestDatabase, error: MillraceError): Promise<void> {
  await database.query(error.remedy.replace(/^As [^:]*: /, ''));
}

/** All that a refusal names. */
function problemsOf({ cause }: MillraceError): readonly MillraceError[] {
  return cause as MillraceError[];
}

let roles = 0;
async function asRole(database: TestDatabase, attributes: string): Promise<PostgresOptions> {
  const role = `role_${++roles}`;
  await database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x' ${attributes}`);
  return hurried(database, { user: role, password: 'x' });
}

describe('before anything is captured', () => {
  test('a plan shows tables, keys and what is special, and creates nothing', async () => {
    await using database = await server.createDatabase();
    await database.query(`
      CREATE TABLE keyed (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED, at tsquery);
      CREATE TABLE bare (id int); ALTER TABLE bare REPLICA IDENTITY FULL;
      CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
      CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100)`);
    const planned = await plan(hurried(database));
    expect(planned.map(({ table }) => table)).toEqual([
      'public.bare',
      'public.keyed',
      'public.parts',
    ]);
    expect(planned.map(({ shape }) => shape.key)).toEqual([[], ['id'], ['id']]);
    expect(planned[1]?.shape.columns.map(({ name }) => name)).toEqual(['id', 'at']);
    expect(planned[1]?.notes.join()).toMatch(/travels as text.*twice: generated/);
    expect(planned[0]?.notes.join()).toContain('no primary key');
    const [made] = await database.query(
      `SELECT (SELECT count(*) FROM pg_publication) + (SELECT count(*) FROM pg_replication_slots
         WHERE database = current_database()) AS made`,
    );
    expect(made).toEqual({ made: '0' });
  });

  test('a table that does not exist is named, with those that do', async () => {
    await using database = await server.createDatabase();
    await database.query('CREATE TABLE orders (id int PRIMARY KEY)');
    const error = await refusal(hurried(database, { tables: ['public.order'] }));
    expect(error).toMatchObject({ code: 'SOURCE_TABLE_UNKNOWN', expected: 'public.orders' });
  });

  test('a table whose updates would begin to fail in the application is refused, and the SQL mends it', async () => {
    await using database = await server.createDatabase();
    await database.query(`
      CREATE TABLE bare (id int);
      CREATE TABLE computed (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED);
      ALTER TABLE computed REPLICA IDENTITY FULL;
      CREATE TABLE silent (id int PRIMARY KEY); ALTER TABLE silent REPLICA IDENTITY NOTHING;
      CREATE TABLE late (id int PRIMARY KEY DEFERRABLE);
      CREATE TABLE narrow (id int PRIMARY KEY, other int NOT NULL UNIQUE);
      ALTER TABLE narrow REPLICA IDENTITY USING INDEX narrow_other_key`);
    const error = await refusal(hurried(database));
    expect(error.code).toBe('SOURCE_IDENTITY');
    expect(error.place).toBe(
      '"public"."bare", "public"."computed", "public"."late", "public"."narrow", "public"."silent"',
    );
    await mend(database, error);
    expect((await plan(hurried(database))).length).toBe(5);
  });

  test('all privileges that are missing are asked for at once, with the SQL that grants them', async () => {
    await using database = await server.createDatabase();
    await database.query('CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)');
    const options = await asRole(database, '');
    const error = await refusal(options);
    expect(error.code).toBe('SOURCE_NOT_READY');
    for (const problem of problemsOf(error)) await mend(database, problem);
    const asked = problemsOf(error).map(({ remedy }) => remedy.replaceAll(/role_\d+/g, 'me'));
    expect(asked).toEqual([
      'As a superuser: ALTER ROLE "me" REPLICATION;',
      'As their owner: GRANT SELECT ON "public"."items" TO "me";',
      'As a superuser: CREATE PUBLICATION "millrace_hurried" FOR TABLE "public"."items" WITH (publish_via_partition_root = true);',
    ]);
    expect((await snapshotTaken(options)).changes.length).toBe(1);
  });

  test('problems of server, role, tables and configuration are named together, each with its code', async () => {
    await using own = await startPostgres({
      settings: { wal_level: 'replica', max_replication_slots: '1' },
    });
    await using database = await own.createDatabase();
    await database.query(`
      SELECT pg_create_physical_replication_slot('other');
      CREATE TABLE items (id int PRIMARY KEY, size int); CREATE TABLE bare (id int)`);
    const options = await asRole(database, '');
    const error = await refusal({
      ...options,
      tables: ['public.*', 'public.nowhere', 'public.neither'],
      columns: { 'public.items': { mask: ['size'] } },
    });
    expect(problemsOf(error).map(({ code }) => code)).toEqual([
      'SOURCE_WAL_LEVEL',
      'SOURCE_PRIVILEGE',
      'SOURCE_TABLE_UNKNOWN',
      'CONFIG_INVALID',
      'SOURCE_PRIVILEGE',
      'SOURCE_IDENTITY',
      'SOURCE_PRIVILEGE',
      'SLOTS_EXHAUSTED',
    ]);
    expect(error.message).toContain('No table is called public.nowhere or public.neither.');
    expect(error.message).toMatch(
      /^6\. SOURCE_IDENTITY: "public"\."bare" has no primary key.*\n.*\n {3}ALTER TABLE "public"\."bare" REPLICA IDENTITY FULL;$/m,
    );
    await database.query(`SELECT pg_drop_replication_slot('other')`);
  });

  test('an owner without superuser captures and makes the publication itself', async () => {
    await using database = await server.createDatabase();
    const options = await asRole(database, 'REPLICATION');
    await database.query(`
      CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1);
      ALTER TABLE items OWNER TO ${options.user}; GRANT CREATE ON DATABASE ${database.name} TO ${options.user}`);
    expect((await snapshotTaken(options)).changes.length).toBe(1);
  });

  test('a wrong password and a missing database are told apart from a server that is not there', async () => {
    await using database = await server.createDatabase();
    expect(await refusal(hurried(database, { password: 'wrong' }))).toMatchObject({
      code: 'SOURCE_AUTH',
    });
    expect(await refusal(hurried(database, { database: 'nowhere' }))).toMatchObject({
      code: 'CONFIG_INVALID',
    });
    expect(await refusal(hurried(database, { port: 1 }))).toMatchObject({
      code: 'SOURCE_UNREACHABLE',
    });
    expect(await refusal(hurried(database, { sslmode: 'require' }))).toMatchObject({
      code: 'SOURCE_TLS',
    });
  });

  test('a server without logical WAL, or without a free slot, is refused', async () => {
    await using own = await startPostgres({ settings: { wal_level: 'replica' } });
    await using database = await own.createDatabase();
    await database.query('CREATE TABLE items (id int PRIMARY KEY)');
    expect(await refusal(hurried(database))).toMatchObject({ code: 'SOURCE_WAL_LEVEL' });
    await using full = await startPostgres({ settings: { max_replication_slots: '1' } });
    await using crowded = await full.createDatabase();
    await crowded.query(`CREATE TABLE items (id int PRIMARY KEY)`);
    await crowded.query(`SELECT pg_create_logical_replication_slot('other', 'pgoutput')`);
    expect(await refusal(hurried(crowded))).toMatchObject({ code: 'SLOTS_EXHAUSTED' });
  });

  test('a slot in use is refused with the process that uses it, but not beside that', async () => {
    await using database = await server.createDatabase();
    await database.query('CREATE TABLE items (id int PRIMARY KEY)');
    const options = hurried(database);
    const capture = await snapshotTaken(options);
    await using _ = streaming(options, capture);
    await expect
      .poll(async () => refusal(options).catch(() => null))
      .toMatchObject({
        code: 'SLOT_IN_USE',
        remedy: expect.stringMatching(/pg_terminate_backend\(\d+\)/),
      });
    await using connector = postgresConnector(options);
    const planned = await connector.plan(AbortSignal.timeout(10_000), { beside: true });
    expect(planned.map(({ table }) => table)).toEqual(['public.items']);
  });

  test('a slot of another plugin is left alone', async () => {
    await using database = await server.createDatabase();
    await database.query('CREATE TABLE items (id int PRIMARY KEY)');
    await database.query(`SELECT pg_create_physical_replication_slot('theirs')`);
    expect(await refusal(hurried(database, { slot: 'theirs' }))).toMatchObject({
      code: 'SLOT_FOREIGN',
    });
    await database.query(`SELECT pg_drop_replication_slot('theirs')`);
  });

  test('the publication follows the configured tables', async () => {
    await using database = await server.createDatabase();
    await database.query(
      'CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)',
    );
    const published = async (): Promise<unknown[]> =>
      (await database.query('SELECT tablename FROM pg_publication_tables ORDER BY 1')).map(
        ({ tablename }) => tablename,
      );
    await snapshotTaken(hurried(database, { tables: ['public.a'] }));
    expect(await published()).toEqual(['a']);
    await snapshotTaken(hurried(database, { tables: ['public.b'] }));
    expect(await published()).toEqual(['b']);
  });
});

describe('connections', () => {
  test('a Unix socket, PG* variables and a URL all lead to the same tables', async () => {
    await using database = await server.createDatabase();
    await database.query('CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)');
    const { url: _, ...bare } = hurried(database);
    const environment = {
      PGHOST: server.socketFolder,
      PGPORT: String(server.port),
      PGUSER: 'postgres',
      PGDATABASE: database.name,
    };
    for (const options of [
      hurried(database, { url: database.socketUrl }),
      { ...bare, environment },
    ]) {
      expect((await snapshotTaken(options)).changes.length).toBe(1);
    }
  });
});
