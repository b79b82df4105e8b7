import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { poll, Shell, stopped } from '../tests/support/shell.ts';

const shell = new Shell();

describe('a pipeline', () => {
  test('is planned, run, watched, asked and stopped', async () => {
    shell.configured();
    const plan = await shell.millrace('plan');
    expect(plan.code).toBe(0);
    expect(plan.out).toMatch(
      /public\.order lines +order, line +3 +duckdb +merge +soft +public\.lines/,
    );
    expect(plan.out).toContain('`millrace run` will create 8 of 8 topics.');

    const running = shell.run();
    await running.url;
    await expect.poll(() => running.get('/readyz').then(({ status }) => status), poll).toBe(200);
    await expect
      .poll(() => shell.rowsSoon('SELECT count(*)::INT FROM public.lines'), poll)
      .toEqual([[700]]);
    await shell.database.query(`
      INSERT INTO customers VALUES (501, 'late'); UPDATE customers SET name = 'new' WHERE id = 1;
      DELETE FROM "order lines" WHERE "order" > 690`);
    const live = 'SELECT count(*)::INT FROM public.lines WHERE NOT _deleted';
    await expect.poll(() => shell.rows(live), poll).toEqual([[690]]);
    expect(
      await shell.rows('SELECT name FROM public.customers WHERE id IN (1, 501) ORDER BY id'),
    ).toEqual([['new'], ['late']]);

    const status = await shell.json<{
      running: boolean;
      lag: { total: number }[];
      stages: object[];
    }>('status');
    expect(status).toMatchObject({ running: true, stages: [{}, {}, { stage: 'sink:duckdb' }] });
    expect(status.lag[0]?.total).toBeGreaterThan(0);
    const delivered = [
      { table: 'public.customers', sink: 'duckdb', rows: 501, changes: 502 },
      { table: 'public.order lines', sink: 'duckdb', rows: 690, changes: 710 },
    ].map((each) => ({ ...each, behindRecords: 0, behindSeconds: 0 }));
    const deliveries = async (): Promise<unknown> =>
      (await shell.json<{ deliveries: unknown }>('status')).deliveries;
    await expect.poll(deliveries, poll).toEqual(delivered);
    expect((await shell.millrace('status')).out).toMatch(/sink:duckdb +running/);
    expect(await running.get('/healthz')).toEqual({
      status: 200,
      body: '{"ok":true,"reasons":[]}',
    });
    expect((await running.get('/metrics')).body).toMatch(
      /millrace_changes_total\{pipeline="shop",stage="source",kind="source"\} 12\d\d/,
    );
    expect((await shell.millrace('plan')).out).toContain('All topics exist.');

    expect(await running.stop()).toEqual(stopped);
    expect(running.out.trim().split('\n').at(-1)).toMatch(/^\{"event":"stopped","ranMs":\d+\}$/);
    expect(await shell.rows(live)).toEqual([[690]]);
    expect(await deliveries()).toEqual(delivered);
    const out = (await shell.millrace('status')).out;
    expect(out).toContain('shop  stopped; this is what its topics and sinks hold');
    expect(out).toMatch(/public\.customers +501 +502 +0 +0s/);
  });

  test('goes on after a kill where it was, and its left-over run file misleads nobody', async () => {
    shell.configured();
    const first = shell.run();
    const count = 'SELECT count(*)::INT FROM public.customers';
    await expect.poll(() => shell.rowsSoon(count), poll).toEqual([[500]]);
    first.process.kill('SIGKILL');
    expect(await first.ended).toEqual({ code: null, signal: 'SIGKILL' });
    expect(await shell.json('status')).toMatchObject({ running: false });
    expect(await shell.rows(count)).toEqual([[500]]);

    await shell.database.query("INSERT INTO customers VALUES (600, 'while it was away')");
    const second = shell.run();
    await expect.poll(() => shell.rowsSoon(count), poll).toEqual([[501]]);
    expect(await shell.json('status')).toMatchObject({ running: true, snapshot: null });
    expect(await second.stop()).toEqual(stopped);
  });

  test('refuses a second process with the number of the first', async () => {
    shell.configured();
    const first = shell.run();
    await first.url;
    const second = await shell.spawned('run');
    expect(second.code).toBe(3);
    expect(second.err).toContain('error BROKER_IN_USE');
    expect(second.err).toContain(String(first.process.pid));
    expect(await first.stop()).toEqual(stopped);
  });

  test('answers queries that read, from those who know the token', async () => {
    shell.configured();
    const running = shell.run();
    const url = await running.url;
    await expect.poll(() => shell.rowsSoon('SELECT 1'), poll).toEqual([[1]]);
    const writing = await shell.millrace('query', 'CREATE TABLE mine (a INT)');
    expect(writing.code).toBe(1);
    expect(writing.err).toContain('error QUERY_FAILED');
    const body = '{"sql":"SELECT 1"}';
    expect((await fetch(`${url}/query`, { method: 'POST', body })).status).toBe(403);
    expect((await fetch(`${url}/query`)).status).toBe(405);
    expect((await fetch(`${url}/`)).status).toBe(404);
    expect(await running.stop()).toEqual(stopped);
  });

  test('leaves no trace where the source cannot be captured, and says all that is missing', async () => {
    shell.configured();
    await shell.database.query(`ALTER TABLE customers REPLICA IDENTITY NOTHING;
      ALTER TABLE "order lines" RENAME TO lines`);
    const before = readdirSync(shell.folder);
    const refused = await shell.spawned('run', '--json');
    expect(refused).toMatchObject({ code: 3, err: '' });
    expect(JSON.parse(refused.out)).toMatchObject({
      error: {
        code: 'SOURCE_NOT_READY',
        problems: [
          { code: 'SOURCE_TABLE_UNKNOWN' },
          {
            code: 'SOURCE_IDENTITY',
            remedy: 'ALTER TABLE "public"."customers" REPLICA IDENTITY DEFAULT;',
          },
        ],
      },
    });
    expect(readdirSync(shell.folder)).toEqual(before);
    const validated = await shell.millrace('validate');
    expect(validated).toMatchObject({ code: 3, out: '' });
    expect(validated.err).toContain(
      '1. SOURCE_TABLE_UNKNOWN: No table is called public.order lines.',
    );
    expect(await shell.millrace('validate', '--offline')).toMatchObject({ code: 0 });
  });

  test('waits for a source that is away, unless it has never seen it', async () => {
    shell.configured();
    const away = { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' };
    const never = shell.run(away);
    expect(await never.ended).toEqual({ code: 3, signal: null });
    expect(never.out).toContain('SOURCE_UNREACHABLE');
    const first = shell.run();
    await expect
      .poll(() => shell.rowsSoon('SELECT count(*)::INT FROM public.customers'), poll)
      .toEqual([[500]]);
    expect(await first.stop()).toEqual(stopped);
    const second = shell.run(away);
    await second.url;
    await expect
      .poll(async () => (await second.get('/readyz')).body, poll)
      .toContain('SOURCE_UNREACHABLE');
    expect(await second.stop()).toMatchObject({ code: 0, signal: null });
  });

  test('says which environment variable names no failpoint', async () => {
    shell.configured();
    const running = shell.run({ MILLRACE_FAILPOINT: 'nowhere' });
    expect(await running.ended).toEqual({ code: 2, signal: null });
    expect(running.out).toContain('expected one of source.read, ');
  });

  test('dies at an armed failpoint and loses nothing', async () => {
    shell.configured();
    const first = shell.run({ MILLRACE_FAILPOINT: 'sink.written' });
    expect(await first.ended).toEqual({ code: null, signal: 'SIGKILL' });
    const second = shell.run();
    await second.url;
    const counts = `SELECT (SELECT count(*) FROM public.customers)::INT,
      (SELECT count(*) FROM public.lines)::INT`;
    await expect.poll(() => shell.rowsSoon(counts), poll).toEqual([[500, 700]]);
    expect(await second.stop()).toEqual(stopped);
  });
});
