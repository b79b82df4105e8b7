import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startPostgres } from './postgres.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-postgres-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function walLevel(url: string): Promise<unknown> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query('SHOW wal_level');
  await client.end();
  return rows[0];
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

test('a server of our own decodes logically, wants its password, and is gone when disposed of', async () => {
  const postgres = await startPostgres(folder);
  expect(await walLevel(postgres.url)).toEqual({ wal_level: 'logical' });
  await expect(walLevel(postgres.url.replace(/:[^:@]+@/, ':wrong@'))).rejects.toThrow('password');
  await postgres[Symbol.asyncDispose]();
  expect(isAlive(postgres.pid)).toBe(false);
});

test('a server that was left goes on when disposed of', async () => {
  const postgres = await startPostgres(folder, { fsync: 'off' });
  postgres.leave();
  await postgres[Symbol.asyncDispose]();
  try {
    expect(await walLevel(postgres.url)).toEqual({ wal_level: 'logical' });
  } finally {
    process.kill(postgres.pid, 'SIGINT');
    for (let left = 500; left > 0 && isAlive(postgres.pid); left--) await sleep(10);
  }
});

test('a server that cannot start says why', async () => {
  await expect(startPostgres(folder, { wal_level: 'nonsense' })).rejects.toMatchObject({
    code: 'ENVIRONMENT',
    message: expect.stringContaining('nonsense'),
  });
});
