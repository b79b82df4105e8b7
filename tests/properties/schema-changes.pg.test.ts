import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { array, boolean, constant, constantFrom, nat, oneof, record, sample } from 'fast-check';
import { expect, test } from 'vitest';
import { componentsOf } from '../../components.ts';
import { parseConfig } from '../../config.ts';
import { silent } from '../../log.ts';
import { openPipeline, type Pipeline } from '../../runtime/run.ts';
import { startPostgres, type TestDatabase } from '../support/postgres.ts';
import { seed } from '../support/seed.ts';
import { SourceTable, type TableStep } from '../support/source-table.ts';

const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 5);
const poll = { timeout: 30_000, interval: 30 };

const name = constantFrom('a', 'b', 'c');
const steps = array(
  oneof(
    {
      weight: 4,
      arbitrary: record({ kind: constant('upsert' as const), id: nat(5), value: nat(99) }),
    },
    { weight: 1, arbitrary: record({ kind: constant('delete' as const), id: nat(5) }) },
    {
      weight: 2,
      arbitrary: record({
        kind: constant('add' as const),
        name,
        type: constantFrom('int16' as const, 'int32' as const, 'string' as const),
        filled: boolean(),
      }),
    },
    { weight: 2, arbitrary: record({ kind: constant('drop' as const), name }) },
    { weight: 2, arbitrary: record({ kind: constant('widen' as const), name }) },
    { weight: 1, arbitrary: record({ kind: constant('rename' as const), name, to: name }) },
  ),
  { minLength: 3, maxLength: 25 },
);

const TYPES = { int16: 'smallint', int32: 'integer', int64: 'bigint', string: 'text' } as const;

/** The statements of a step, from the model's shape before and after it. */
function sqlOf(source: SourceTable, step: TableStep, version: number): string[] {
  const before = source.shape.columns;
  const change = source.apply(step, version);
  const after = source.shape.columns;
  const typeOf = (column: string): string => {
    const kind = after.find((found) => found.name === column)?.type.kind;
    return TYPES[kind as keyof typeof TYPES];
  };
  const has = (columns: typeof before, column: string): boolean =>
    columns.some((found) => found.name === column);
  switch (step.kind) {
    case 'upsert':
      return [upsert(change?.after ?? {})];
    case 'delete':
      return [`DELETE FROM t WHERE id = ${step.id}`];
    case 'add':
      return has(before, step.name)
        ? []
        : [
            `ALTER TABLE t ADD COLUMN ${step.name} ${typeOf(step.name)}${step.filled ? ` DEFAULT '7'` : ''}`,
          ];
    case 'drop':
      return has(before, step.name) ? [`ALTER TABLE t DROP COLUMN ${step.name}`, seen()] : [];
    case 'widen':
      return has(before, step.name)
        ? [`ALTER TABLE t ALTER COLUMN ${step.name} TYPE ${typeOf(step.name)}`]
        : [];
    case 'rename':
      // The rows under a new name have to be touched to be seen: no event brings the others.
      return has(after, step.name) || !has(before, step.name)
        ? []
        : [
            `ALTER TABLE t RENAME COLUMN ${step.name} TO ${step.to}`,
            seen(),
            'UPDATE t SET id = id',
          ];
  }
}

/** A row of the new schema: a change of columns alone is not seen. */
function seen(): string {
  return 'INSERT INTO t (id) VALUES (8) ON CONFLICT (id) DO UPDATE SET id = 8';
}

function upsert(row: Readonly<Record<string, unknown>>): string {
  const names = Object.keys(row);
  const values = Object.values(row).map((value) =>
    typeof value === 'string' ? `'${value}'` : String(value),
  );
  const set = names.map((column) => `${column} = excluded.${column}`);
  return `INSERT INTO t (${names.join(', ')}) VALUES (${values.join(', ')}) ON CONFLICT (id) DO UPDATE SET ${set.join(', ')}`;
}

async function differences(
  { database, pipeline }: World,
  names: readonly string[],
): Promise<{ source: unknown; sink: unknown }> {
  const texts = names.map((column) => `${column}::VARCHAR`).join(', ');
  const { rows: source } = await database.client.query<unknown[]>({
    text: `SELECT ${texts} FROM t ORDER BY t.id`,
    rowMode: 'array',
  });
  const sink = await pipeline
    .query(`SELECT ${texts} FROM public.t ORDER BY t.id`)
    .then(({ rows }) => rows, String);
  return { source, sink };
}

/** A table in a real server, and a pipeline from it that runs in this process. */
interface World extends AsyncDisposable {
  readonly database: TestDatabase;
  readonly pipeline: Pipeline;
}

async function openWorld(): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'millrace-alters-'));
  stack.defer(() => rmSync(folder, { recursive: true }));
  const postgres = stack.use(await startPostgres());
  const database = stack.use(await postgres.createDatabase());
  await database.query('CREATE TABLE t (id int PRIMARY KEY, a text)');
  const config = parseConfig(
    `pipeline: alters
broker: { kind: embedded, path: "${folder}/broker", fsync: false }
source: { kind: postgres, url: "${database.url}", tables: [public.t] }
sinks: [{ kind: duckdb, path: "${folder}/t.duckdb" }]
`,
    { file: 'millrace.yaml', environment: {} },
  );
  const components = componentsOf(config, { environment: {} }, silent);
  const { signal } = new AbortController();
  const parts = { log: silent, pid: 1, signal };
  const pipeline = stack.use(await openPipeline(config, components, parts));
  const stop = new AbortController();
  const running = pipeline.run(stop.signal);
  stack.defer(async () => {
    stop.abort();
    await running;
  });
  const opened = stack.move();
  return { database, pipeline, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** Inserts the row, greater than all before, and waits until it and all before it is in the sink. */
async function flown({ database, pipeline }: World, id: number): Promise<void> {
  await database.query(`INSERT INTO t (id) VALUES (${id})`);
  await expect
    .poll(
      () => pipeline.query('SELECT max(id)::INT FROM public.t').then(({ rows }) => rows, String),
      poll,
    )
    .toEqual([[id]]);
  expect((await pipeline.status()).parked).toEqual([]);
}

test('rows that were there before a column was added with a default have the default in the sink', async () => {
  await using world = await openWorld();
  const { database, pipeline } = world;
  await database.query(`INSERT INTO t SELECT g, 'snapshot' FROM generate_series(1, 50) g`);
  await flown(world, 1000);
  await database.query(`INSERT INTO t SELECT g, 'stream' FROM generate_series(51, 100) g`);
  await flown(world, 1001);
  const added: readonly (readonly [type: string, value: string])[] = [
    ['smallint', "'-7'"],
    ['bigint', "'9007199254740991'"],
    ['text', "'it''s'"],
    ['boolean', 'true'],
    ['numeric(12,2)', '1.50'],
    ['double precision', '0.1'],
    ['date', "'2024-02-29'"],
    ['timestamp', "'2024-02-29 12:34:56.789012'"],
    ['uuid', "'00000000-0000-0000-0000-00000000000a'"],
  ];
  for (const [at, [type, value]] of added.entries()) {
    await database.query(`ALTER TABLE t ADD COLUMN c${at} ${type} NOT NULL DEFAULT ${value}`);
  }
  // A row of before that changes, and one that is new, are not filled: they come with their values.
  await database.query(`UPDATE t SET c0 = 8 WHERE id = 7`);
  await flown(world, 1002);
  // What the two print of a float differs; it is asked for below.
  const names = ['id', 'a', 'c0', 'c1', 'c2', 'c3', 'c4', 'c6', 'c7', 'c8'];
  const { source, sink } = await differences(world, names);
  expect(sink).toEqual(source);
  expect(source).toHaveLength(103);
  const filled = await pipeline.query(
    'SELECT count(*)::INT FROM public.t WHERE c0 = -7 AND c5 = 0.1',
  );
  expect(filled.rows).toEqual([[102]]);
});

test(`what Postgres makes of random ALTERs is what is in the sink (SEED=${seed})`, async () => {
  const end = performance.now() + seconds * 1000;
  await using world = await openWorld();
  const { database } = world;
  const source = new SourceTable('alters.public.t');
  let version = 0;
  let last = 0;
  for (const round of sample(steps, { seed, numRuns: 1000 })) {
    if (performance.now() > end) break;
    for (const step of round) {
      for (const sql of sqlOf(source, step, ++version)) await database.query(sql);
    }
    last++;
    await flown(world, 1000 + last);
    const names = source.shape.columns.map((column) => column.name);
    const { source: expected, sink } = await differences(world, names);
    expect(sink).toEqual(expected);
  }
  expect(last).toBeGreaterThan(0);
});
