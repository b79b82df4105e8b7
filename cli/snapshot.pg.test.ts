import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { poll, Shell, stopped } from '../tests/support/shell.ts';

const shell = new Shell();
const rowsOf = (table: string): string => `SELECT count(*)::INT FROM public.${table}`;

interface Copies {
  readonly copies: readonly { readonly table: string; readonly state: string }[];
}

test('a table is copied again on demand, and one added later by itself', async () => {
  shell.configured();
  await shell.database.query(
    `CREATE TABLE late (id int PRIMARY KEY, note text); INSERT INTO late VALUES (1, 'a'), (2, 'b')`,
  );
  const first = shell.run();
  await first.url;
  await expect.poll(() => shell.rowsSoon(rowsOf('customers')), poll).toEqual([[500]]);
  const asked = await shell.millrace('snapshot', 'public.customers', '--where', 'id <= 10');
  expect(asked.err).toBe('');
  expect(asked.out).toContain('public.customers is copied while its changes go on');
  const done = async (): Promise<Copies['copies']> => (await shell.json<Copies>('status')).copies;
  await expect
    .poll(done, poll)
    .toMatchObject([{ table: 'public.customers', state: 'done', rows: 10 }]);
  expect((await shell.millrace('status')).out).toMatch(/public\.customers +done +10 /);
  expect((await first.get('/metrics')).body).toMatch(/millrace_copy_rows\{.*customers"\} 10/);
  expect((await first.get('/metrics')).body).toMatch(/millrace_source_retained_bytes\{/);
  const refused = await shell.millrace('snapshot', 'public.late');
  expect(refused.code).toBe(2);
  expect(refused.err).toContain('error SNAPSHOT_REFUSED');
  expect((await shell.millrace('snapshot', 'public.customers', '--pause', '--cancel')).code).toBe(
    2,
  );
  expect(await first.stop()).toEqual(stopped);
  expect((await shell.millrace('snapshot', 'public.customers')).err).toContain('NOT_RUNNING');

  const file = join(shell.folder, 'millrace.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace('[public.customers', '[public.late'));
  const second = shell.run();
  await second.url;
  await expect.poll(() => shell.rowsSoon(rowsOf('late')), poll).toEqual([[2]]);
  const status = await shell.json<{ tables: { table: string }[] }>('status');
  expect(status.tables.map(({ table }) => table)).toEqual(['public.late', 'public.order lines']);
  expect(await shell.rows(rowsOf('customers'))).toEqual([[500]]);
  expect(await second.stop()).toEqual(stopped);
});

test('a copy that is killed goes on with the ranges left, and ends with each row once', async () => {
  shell.configured();
  await shell.database.query(
    `INSERT INTO customers SELECT g, 'name ' || g FROM generate_series(1000, 200999) g`,
  );
  const first = shell.run();
  await first.url;
  const total = 200_500;
  await expect.poll(() => shell.rowsSoon(rowsOf('customers')), poll).toEqual([[total]]);
  expect((await shell.millrace('snapshot', 'public.customers')).code).toBe(0);
  const rows = async (): Promise<number> =>
    (await shell.json<{ copies: { rows: number }[] }>('status')).copies[0]?.rows ?? 0;
  await expect.poll(rows, { ...poll, interval: 5 }).toBeGreaterThan(0);
  const before = await rows();
  first.process.kill('SIGKILL');
  await first.ended;
  const second = shell.run();
  await second.url;
  const done = async (): Promise<Copies['copies']> => (await shell.json<Copies>('status')).copies;
  await expect.poll(done, poll).toMatchObject([{ state: 'done', rows: total }]);
  expect(before).toBeLessThan(total);
  await expect.poll(() => shell.rowsSoon(rowsOf('customers')), poll).toEqual([[total]]);
  expect(await second.stop()).toEqual(stopped);
});

test('a table without a key that is added later has its rows once, and again behind a truncate on demand', async () => {
  shell.configured();
  await shell.database.query(`CREATE TABLE notes (n int, line text);
    ALTER TABLE notes REPLICA IDENTITY FULL;
    INSERT INTO notes SELECT g, 'line ' || g FROM generate_series(1, 300) g`);
  const first = shell.run();
  await first.url;
  await expect.poll(() => shell.rowsSoon(rowsOf('customers')), poll).toEqual([[500]]);
  expect(await first.stop()).toEqual(stopped);

  const file = join(shell.folder, 'millrace.yaml');
  writeFileSync(
    file,
    readFileSync(file, 'utf8').replace('[public.customers', '[public.notes, public.customers'),
  );
  const second = shell.run();
  await second.url;
  const reads = `SELECT count(*)::INT FROM public.notes WHERE _op = 'r'`;
  // A truncate is in each of the two partitions, and one row of the table.
  const ops = 'SELECT _op, count(*)::INT FROM public.notes GROUP BY _op ORDER BY _op';
  await expect.poll(() => shell.rowsSoon(reads), poll).toEqual([[300]]);
  await shell.database.query(`UPDATE notes SET line = 'new' WHERE n = 7`);
  await expect
    .poll(() => shell.rowsSoon(ops), poll)
    .toEqual([
      ['r', 300],
      ['t', 1],
      ['u', 1],
    ]);
  expect((await shell.millrace('snapshot', 'public.notes')).err).toBe('');
  await expect
    .poll(() => shell.rowsSoon(ops), poll)
    .toEqual([
      ['r', 600],
      ['t', 2],
      ['u', 1],
    ]);
  const refused = await shell.millrace('snapshot', 'public.notes', '--where', 'n < 9');
  expect(refused.err).toContain('error SNAPSHOT_REFUSED');
  expect(await second.stop()).toEqual(stopped);
});

test('a first snapshot over several connections that is killed goes on, and ends with each row once', async () => {
  shell.configured();
  const file = join(shell.folder, 'millrace.yaml');
  const wider = readFileSync(file, 'utf8')
    .replace('[public.customers', '[public.notes, public.customers')
    .replace('  tables:', '  snapshotConcurrency: 3\n  tables:');
  writeFileSync(file, wider);
  expect(wider).toContain('snapshotConcurrency: 3');
  await shell.database.query(`CREATE TABLE notes (n int, line text);
    ALTER TABLE notes REPLICA IDENTITY FULL;
    INSERT INTO notes SELECT g, repeat('x', 200) FROM generate_series(1, 100000) g;
    INSERT INTO customers SELECT g, 'name ' || g FROM generate_series(1000, 200999) g`);
  const first = shell.run();
  await first.url;
  const rows = async (): Promise<number> =>
    (await shell.json<{ snapshot: { rows: number } | null }>('status')).snapshot?.rows ?? 0;
  await expect.poll(rows, { ...poll, interval: 5 }).toBeGreaterThan(0);
  first.process.kill('SIGKILL');
  await first.ended;
  await shell.database.query(`UPDATE customers SET name = 'new' WHERE id % 1000 = 0`);
  const second = shell.run();
  await second.url;
  await expect.poll(() => shell.rowsSoon(rowsOf('customers')), poll).toEqual([[200_500]]);
  const once = `SELECT count(*)::INT, count(DISTINCT n)::INT FROM public.notes`;
  await expect.poll(() => shell.rowsSoon(once), poll).toEqual([[100_000, 100_000]]);
  const updated = `${rowsOf('customers')} WHERE name = 'new'`;
  await expect.poll(() => shell.rowsSoon(updated), poll).toEqual([[200]]);
  expect(await second.stop()).toEqual(stopped);
});
