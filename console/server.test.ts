import { describe, expect, onTestFinished, test } from 'vitest';
import { MillraceError } from '../errors.ts';
import { systemClock } from '../runtime/clock.ts';
import { SmallPipeline } from '../tests/support/small-pipeline.ts';
import { findRunning } from './client.ts';
import { readRunFile, removeRunFile, writeRunFile } from './run-file.ts';
import { Console } from './server.ts';

const never = new AbortController().signal;
const local = { host: '127.0.0.1', port: 0 };

async function get(url: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url);
  return { status: response.status, body: await response.json() };
}

describe('health', () => {
  test('is red with its reason once a loop is dead, and readiness before that', async () => {
    const small = new SmallPipeline(3);
    small.table.before = () => {
      throw new MillraceError('SINK_FULL', 'no space');
    };
    await using pipeline = await small.open();
    await using server = await Console.open(pipeline, local);
    expect(await get(`${server.url}/healthz`)).toEqual({
      status: 200,
      body: { ok: true, reasons: [] },
    });
    expect(await get(`${server.url}/readyz`)).toMatchObject({
      status: 503,
      body: {
        ok: false,
        reasons: ['source is starting', 'compact is starting', expect.any(String)],
      },
    });
    await expect(pipeline.run(never)).rejects.toThrow('no space');
    expect(await get(`${server.url}/healthz`)).toEqual({
      status: 503,
      body: { ok: false, reasons: ['sink:duckdb has failed: SINK_FULL'] },
    });
  });

  test('is red when a batch has been in hand for more than five minutes', async () => {
    const small = new SmallPipeline(1);
    const stop = new AbortController();
    const { promise: writing, resolve } = Promise.withResolvers<void>();
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    small.table.before = () => {
      resolve();
      return held;
    };
    let now = 1_000_000;
    await using pipeline = await small.open({ clock: { ...systemClock, elapsed: () => now } });
    const running = pipeline.run(stop.signal);
    await writing;
    expect(pipeline.unhealthy()).toEqual([]);
    now += 301_000;
    expect(pipeline.unhealthy()).toEqual(['sink:duckdb has held one batch for 301 s']);
    release();
    stop.abort();
    await running;
  });
});

test('a port that is taken is named', async () => {
  const small = new SmallPipeline(0);
  await using pipeline = await small.open();
  await using first = await Console.open(pipeline, local);
  const port = Number(new URL(first.url).port);
  await expect(Console.open(pipeline, { ...local, port })).rejects.toMatchObject({
    code: 'PORT_IN_USE',
    place: `127.0.0.1:${port}`,
  });
});

describe('/query', () => {
  test('says what is wrong with a request, and that no sink is open', async () => {
    const small = new SmallPipeline(0);
    await using pipeline = await small.open();
    await using server = await Console.open(pipeline, local);
    const post = async (body: string): Promise<{ status: number; body: unknown }> => {
      const headers = { authorization: `Bearer ${server.token}` };
      const response = await fetch(`${server.url}/query`, { method: 'POST', body, headers });
      return { status: response.status, body: await response.json() };
    };
    expect(await post('{')).toMatchObject({ status: 400 });
    expect(await post('{}')).toEqual({ status: 400, body: { error: 'expected {"sql": "…"}' } });
    expect(await post('{"sql":"SELECT 1"}')).toMatchObject({
      status: 503,
      body: { error: { code: 'NOT_RUNNING' } },
    });
    expect(await post(JSON.stringify({ sql: 'x'.repeat(2_000_000) }))).toMatchObject({
      status: 400,
    });
  });
});

describe('the run file', () => {
  test('finds the process that runs, and nobody once it has gone', async () => {
    const small = new SmallPipeline(0);
    const { folder } = small;
    expect(await findRunning(folder, 'shop', never)).toBeNull();
    await using pipeline = await small.open();
    const server = await Console.open(pipeline, local);
    onTestFinished(() => server[Symbol.asyncDispose]());
    await writeRunFile(folder, { pid: 1, url: server.url, token: server.token });
    const found = await findRunning(folder, 'shop', never);
    expect(await found?.status()).toMatchObject({ pipeline: 'shop', running: true, pid: 1 });
    expect(await findRunning(folder, 'other', never)).toBeNull();
    await writeRunFile(folder, { pid: 2, url: server.url, token: server.token });
    expect(await findRunning(folder, 'shop', never)).toBeNull();
    await server[Symbol.asyncDispose]();
    await writeRunFile(folder, { pid: 1, url: server.url, token: server.token });
    expect(await findRunning(folder, 'shop', never)).toBeNull();
  });

  test('is removed by the process that wrote it and no other', async () => {
    const { folder } = new SmallPipeline(0);
    const content = { pid: 7, url: 'http://127.0.0.1:1', token: 'secret' };
    await writeRunFile(folder, content);
    await removeRunFile(folder, 8);
    expect(await readRunFile(folder)).toEqual(content);
    await removeRunFile(folder, 7);
    expect(await readRunFile(folder)).toBeNull();
  });
});
