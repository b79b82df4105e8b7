import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { array, constant, constantFrom, nat, oneof, record, sample } from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
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
        filled: constant(false),
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
        : [`ALTER TABLE t ADD COLUMN ${step.name} ${typeOf(step.name)}`];
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
  database: TestDatabase,
  pipeline: Pipeline,
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

test(`what Postgres makes of random ALTERs is what is in the sink (SEED=${seed})`, async () => {
  const end = performance.now() + seconds * 1000;
  const folder = mkdtempSync(join(tmpdir(), 'millrace-alters-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  await using postgres = await startPostgres();
  await using database = await postgres.createDatabase();
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
  await using pipeline = await openPipeline(config, components, { log: silent, pid: 1, signal });
  const stop = new AbortController();
  const running = pipeline.run(stop.signal);
  await using stack = new AsyncDisposableStack();
  stack.defer(async () => {
    stop.abort();
    await running;
  });

  const source = new SourceTable('alters.public.t');
  let version = 0;
  let last = 0;
  for (const round of sample(steps, { seed, numRuns: 1000 })) {
    if (performance.now() > end) break;
    for (const step of round) {
      for (const sql of sqlOf(source, step, ++version)) await database.query(sql);
    }
    last++;
    await database.query(`INSERT INTO t (id) VALUES (${1000 + last})`);
    const names = source.shape.columns.map((column) => column.name);
    const newest = `SELECT max(id)::INT FROM public.t`;
    await expect
      .poll(() => pipeline.query(newest).then(({ rows }) => rows, String), poll)
      .toEqual([[1000 + last]]);
    expect((await pipeline.status()).parked).toEqual([]);
    const { source: expected, sink } = await differences(database, pipeline, names);
    expect(sink).toEqual(expected);
  }
  expect(last).toBeGreaterThan(0);
});
