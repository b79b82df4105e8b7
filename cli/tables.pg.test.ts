import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { poll, Shell, stopped } from '../tests/support/shell.ts';

const shell = new Shell();

const parkedCodes = async (): Promise<string[]> => {
  const { parked } = await shell.json<{ parked: { code: string }[] }>('status');
  return parked.map(({ code }) => code);
};

/** Sets a line of the sink in the configuration. */
function configureSink(line: string): void {
  const file = join(shell.folder, 'millrace.yaml');
  const text = readFileSync(file, 'utf8').replace(/\n {4}evolution: .*/, '');
  writeFileSync(file, text.replace('    path: ./shop.duckdb', `$&\n    ${line}`));
}

test('a change that the policy refuses is planned, parks one table, and is resolved', async () => {
  shell.configured();
  configureSink('evolution: freeze');
  const first = shell.run();
  const counts = `SELECT (SELECT count(*) FROM public.customers)::INT,
    (SELECT count(*) FROM public.lines)::INT`;
  await expect.poll(() => shell.rowsSoon(counts), poll).toEqual([[500, 700]]);
  expect(await first.stop()).toEqual(stopped);

  await shell.database.query('ALTER TABLE customers ADD COLUMN tier text');
  const planned = await shell.millrace('plan');
  expect(planned.out).toContain(
    'duckdb public.customers: refused with SINK_CHANGE_REFUSED: the policy freeze refuses to add column tier VARCHAR',
  );
  configureSink('evolution: evolve');
  expect((await shell.millrace('plan')).out).toContain(
    'duckdb public.customers: add column tier VARCHAR',
  );
  configureSink('evolution: freeze');

  const second = shell.run();
  await second.url;
  await shell.database.query(`UPDATE customers SET tier = 'gold' WHERE id <= 10;
    INSERT INTO "order lines" VALUES (999, 1, 1)`);
  await expect.poll(parkedCodes, poll).toEqual(['SINK_CHANGE_REFUSED']);
  await expect.poll(() => shell.rowsSoon(counts), poll).toEqual([[500, 701]]);
  await expect.poll(async () => (await second.get('/readyz')).status, poll).toBe(200);
  expect((await second.get('/readyz')).body).toContain('duckdb has parked public.customers');
  const status = (await shell.millrace('status')).out;
  expect(status).toContain('public.customers is parked in duckdb');
  expect(status).toContain('then: millrace tables resume public.customers');
  const resumed = await shell.millrace('tables', 'resume', 'public.customers');
  expect(resumed).toMatchObject({ code: 0, err: '' });
  await expect.poll(parkedCodes, poll).toEqual(['SINK_CHANGE_REFUSED']);
  expect(await second.stop()).toEqual(stopped);

  expect((await shell.millrace('tables')).out).toMatch(
    /public\.customers +parked +duckdb +10 +SINK_CHANGE_REFUSED/,
  );
  configureSink('evolution: evolve');
  expect(await shell.millrace('tables', 'resume', 'public.customers')).toMatchObject({ code: 0 });
  expect(await shell.json('status')).toMatchObject({ running: false, parked: [] });
  const third = shell.run();
  const gold = `SELECT count(*)::INT, count(tier)::INT FROM public.customers`;
  await expect.poll(() => shell.rowsSoon(gold), poll).toEqual([[500, 10]]);
  expect(await shell.json('status')).toMatchObject({ running: true, parked: [] });

  // Also while it runs, a plan shows what the source has become and nobody has seen yet.
  await shell.database.query('ALTER TABLE customers ADD COLUMN points int');
  expect((await shell.millrace('plan')).out).toContain(
    'duckdb public.customers: add column points INTEGER',
  );
  configureSink('evolution: freeze');
  expect((await shell.millrace('plan')).out).toContain(
    'duckdb public.customers: refused with SINK_CHANGE_REFUSED',
  );
  configureSink('evolution: evolve');

  const rebuilt = await shell.millrace('tables', 'rebuild', 'public.customers');
  expect(rebuilt).toMatchObject({ code: 0, err: '' });
  await expect.poll(() => shell.rowsSoon(gold), poll).toEqual([[500, 10]]);
  const unknown = await shell.millrace('tables', 'rebuild', 'public.nobody');
  expect(unknown).toMatchObject({ code: 2 });
  expect(unknown.err).toContain('public.customers, public.order lines');
  expect(await third.stop()).toEqual(stopped);
});

test('a type that nothing converts parks one table, and a rebuild stops at the same place', async () => {
  shell.configured();
  const running = shell.run();
  await running.url;
  const count = 'SELECT count(*)::INT FROM public.customers';
  await expect.poll(() => shell.rowsSoon(count), poll).toEqual([[500]]);
  await shell.database.query(`ALTER TABLE customers ALTER name TYPE bytea USING name::bytea;
    UPDATE customers SET id = id WHERE id = 1`);
  await expect.poll(parkedCodes, poll).toEqual(['SINK_TABLE_CONFLICT']);
  await shell.database.query('INSERT INTO "order lines" VALUES (999, 1, 1)');
  await expect
    .poll(() => shell.rowsSoon('SELECT count(*)::INT FROM public.lines'), poll)
    .toEqual([[701]]);
  const rebuilt = await shell.millrace('tables', 'rebuild', 'public.customers');
  expect(rebuilt).toMatchObject({ code: 1, out: '' });
  expect(rebuilt.err).toContain('SINK_TABLE_CONFLICT');
  expect(await parkedCodes()).toEqual(['SINK_TABLE_CONFLICT']);
  expect(await shell.rows(count)).toEqual([[500]]);
  expect(await running.stop()).toEqual(stopped);
});

test.each(['changes', 'latest'])(
  'a table rebuilt from .%s is the table that was there',
  async (from) => {
    shell.configured();
    const running = shell.run();
    await running.url;
    await shell.database.query(`
    UPDATE customers SET name = 'first' WHERE id < 300; DELETE FROM customers WHERE id % 7 = 0;
    UPDATE customers SET id = id + 1000 WHERE id < 20; TRUNCATE "order lines"`);
    await shell.database.query(`
    ALTER TABLE customers ADD COLUMN tier text DEFAULT 'new';
    UPDATE customers SET name = 'last' WHERE id BETWEEN 100 AND 200;
    INSERT INTO customers VALUES (5000, 'end')`);
    const rows = 'SELECT * FROM public.customers ORDER BY id';
    const end = 'SELECT name FROM public.customers WHERE id = 5000';
    await expect.poll(() => shell.rowsSoon(end), poll).toEqual([['end']]);
    const before = await shell.rows(rows);
    const rebuild = ['tables', 'rebuild', 'public.customers', '--from', from];
    expect(await shell.millrace(...rebuild)).toMatchObject({ code: 0, err: '' });
    expect(await shell.rows(rows)).toEqual(before);
    await shell.database.query("UPDATE customers SET name = 'after' WHERE id = 5000");
    await expect.poll(() => shell.rowsSoon(end), poll).toEqual([['after']]);
    expect(await shell.json('status')).toMatchObject({ parked: [], rebuilds: [] });
    expect(await running.stop()).toEqual(stopped);
    const stoppedAt = await shell.rows(rows);
    expect(await shell.millrace(...rebuild)).toMatchObject({ code: 0, err: '' });
    expect(await shell.rows(rows)).toEqual(stoppedAt);
    // Its deletes are marked, which only the changes know.
    const soft = await shell.millrace(
      'tables',
      'rebuild',
      'public.order lines',
      '--from',
      'latest',
    );
    expect(soft).toMatchObject({ code: 2 });
    expect(soft.err).toContain('error REBUILD_REFUSED');
  },
);
