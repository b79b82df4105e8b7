import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { poll, Shell, stopped } from '../tests/support/shell.ts';
import type { TableComparison } from './verify/tables.ts';

const shell = new Shell();

interface Found {
  readonly sink: string;
  readonly tables: readonly TableComparison[];
}

/** What `verify --json` finds, by table; the exit code says whether all is equal. */
async function verified(...args: string[]): Promise<{ code: number; tables: Found['tables'] }> {
  const { code, out } = await shell.millrace('verify', '--json', ...args);
  // An error has a line of its own after it.
  const [found = ''] = out.split('\n');
  return { code, tables: (JSON.parse(found) as Found[]).flatMap(({ tables }) => tables) };
}

/** Runs the pipeline until the query answers one row with that. */
async function runUntil(sql: string, row: readonly unknown[]): Promise<void> {
  const running = shell.run();
  await running.url;
  await expect
    .poll(async () => [running.err, await shell.rowsSoon(sql)], poll)
    .toEqual(['', [row]]);
  expect(await running.stop()).toEqual(stopped);
}

function configured(source: string, sink = ''): void {
  writeFileSync(
    join(shell.folder, 'millrace.yaml'),
    `pipeline: shop
source:
  kind: postgres
  url: \${DATABASE_URL}
${source}
sinks:
  - { kind: duckdb, path: ./shop.duckdb${sink} }
http: { port: 0 }
log: { level: error }
`,
  );
}

test('a pipeline that has caught up is verified; what differs is named by its key', async () => {
  shell.configured();
  await runUntil('SELECT count(*)::INT FROM public.lines', [700]);
  expect(await verified()).toMatchObject({ code: 0, tables: [{ equal: true }, { equal: true }] });

  await shell.database.query(`UPDATE customers SET name = 'new' WHERE id = 7;
    DELETE FROM customers WHERE id = 9; INSERT INTO customers VALUES (9999, 'late')`);
  const { code, out, err } = await shell.millrace('verify', 'public.customers');
  expect(out).toMatch(
    /public\.customers +500 +500 +DIFFERENT: name differs at key id=7; 1 missing, 1 only in the sink, 1 different/,
  );
  expect(out).not.toContain('order lines');
  expect([code, err]).toEqual([1, expect.stringContaining('error CONTENT_DIFFERS')]);
  expect((await shell.millrace('verify', 'public.nothing')).err).toContain('SOURCE_TABLE_UNKNOWN');
});

test('while the pipeline runs, nothing is compared', async () => {
  shell.configured();
  const running = shell.run();
  await running.url;
  const { code, err } = await shell.millrace('verify');
  expect([code, err]).toEqual([3, expect.stringContaining('error SINK_IN_USE')]);
  expect(await running.stop()).toEqual(stopped);
});

const people = `
  CREATE TABLE people (
    id int, email text, phone text, note varchar(200), padded char(8), ssn text,
    picture bytea, price numeric(30,10), at timestamp, born date,
    region text NOT NULL, twice int GENERATED ALWAYS AS (id * 2) STORED,
    PRIMARY KEY (id, region)
  );
  INSERT INTO people SELECT g, CASE WHEN g % 5 > 0 THEN 'ö' || g || '@example.org' END, '+49 ' || g,
    repeat('日本💧', g % 30), 'x' || g, md5(g::text), decode(md5(g::text), 'hex'), g / 7.0,
    '0044-03-15 12:00:00.5 BC'::timestamp + make_interval(years => g * 10), '2024-02-29',
    CASE g % 3 WHEN 0 THEN 'eu' ELSE 'us' END
  FROM generate_series(1, 600) g`;
const rules = (hashKey: string, truncate = 11): string => `  tables: [public.people]
  filters: { public.people: "region = 'eu' -- only these" }
  columns:
    public.people: { exclude: [ssn], hash: [email], mask: [phone], truncate: { note: ${truncate}, padded: 6 } }
  hashKey: ${hashKey}
  binaryHandling: base64
  decimalHandling: double
  timePrecision: isostring`;

test('rules, filters and modes are what the sink is measured by; what is left out is said', async () => {
  await shell.database.query(people);
  configured(rules('secret'));
  await runUntil('SELECT count(*)::INT FROM public.people', [200]);
  const again = shell.run();
  await again.url;
  await shell.database.query(`UPDATE people SET note = 'short', email = 'new' WHERE id = 3;
    UPDATE people SET region = 'us' WHERE id = 6; UPDATE people SET region = 'eu' WHERE id = 1;
    DELETE FROM people WHERE id = 9`);
  const seen = 'SELECT count(*)::INT, min(id), count(*) FILTER (id = 6)::INT FROM public.people';
  await expect.poll(() => shell.rowsSoon(seen), poll).toEqual([[199, 1, 0]]);
  expect(await again.stop()).toEqual(stopped);

  const found = await verified();
  expect(found).toMatchObject({
    code: 0,
    tables: [{ equal: true, sourceRows: 199, sinkRows: 199, first: null }],
  });
  expect(found.tables[0]?.notCompared).toEqual([
    { column: 'ssn', why: 'it is excluded by source.columns' },
    { column: 'twice', why: 'it is generated, which is not captured' },
  ]);
  expect((await shell.millrace('verify')).out).toContain(
    'public.people.ssn is not compared: it is excluded by source.columns',
  );

  // What the configuration says is compared, and not merely passed over.
  configured(rules('another secret'));
  expect(await verified()).toMatchObject({
    code: 1,
    tables: [{ first: 'email differs at key id=1, region=eu' }],
  });
  configured(rules('secret', 12));
  expect(await verified()).toMatchObject({
    code: 1,
    tables: [{ first: 'note differs at key id=12, region=eu' }],
  });
  configured(rules('secret').replace('base64', 'hex'));
  expect((await verified()).tables[0]?.first).toBe('picture differs at key id=1, region=eu');
  configured(rules('secret').replace('isostring', 'adaptive'));
  expect((await verified()).tables[0]?.first).toBe('born differs at key id=1, region=eu');
  configured(rules('secret').replace("'eu'", "'us'"));
  expect((await verified()).tables[0]).toMatchObject({ missing: 400, extra: 199 });
});

test('tables of changes are compared as far as they say what the rows are', async () => {
  await shell.database.query(`
    CREATE TABLE log (at int, email text, line text); ALTER TABLE log REPLICA IDENTITY FULL;
    INSERT INTO log SELECT g % 10, 'a', 'line ' || g % 50 FROM generate_series(1, 300) g`);
  configured(
    `  tables: [public.log, public.customers]
  columns: { public.log: { hash: [email], truncate: { line: 6 } } }
  hashKey: secret`,
    ', mode: append',
  );
  await runUntil(
    'SELECT (SELECT count(*) FROM public.log)::INT, (SELECT count(*) FROM public.customers)::INT',
    [300, 500],
  );
  await shell.database.query(`UPDATE customers SET name = 'changed' WHERE id < 10;
    DELETE FROM customers WHERE id = 100; TRUNCATE log; INSERT INTO log VALUES (1, 'b', 'one'), (1, 'b', 'one')`);
  await runUntil(
    `SELECT (SELECT count(*) FROM public.log WHERE _op = 'c')::INT, (SELECT count(*) FROM public.customers WHERE _op <> 'r')::INT`,
    [2, 10],
  );
  expect(await verified()).toMatchObject({
    code: 0,
    tables: [
      { table: 'public.customers', equal: true, sinkRows: 499, notCompared: [] },
      { table: 'public.log', equal: true, sinkRows: 2, notCompared: [{ column: 'email' }] },
    ],
  });

  await shell.database.query('DELETE FROM log WHERE ctid = (SELECT min(ctid) FROM log)');
  await runUntil(`SELECT count(*)::INT FROM public.log WHERE _op = 'd'`, [1]);
  const { code, out, err } = await shell.millrace('verify', 'public.log');
  expect(out).toMatch(/public\.log +NOT COMPARED/);
  expect(out).toContain(
    'public.log is not compared: rows were updated or deleted in a table without',
  );
  expect([code, err]).toEqual([1, expect.stringContaining('1 tables cannot be compared')]);
});
