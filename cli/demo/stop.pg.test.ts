import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';

const main = join(import.meta.dirname, '../../main.ts');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-stop-'));
  chmodSync(folder, 0o711); // Postgres may run as another user.
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const isAlive = (pid: number): boolean => {
  try {
    // A process that has ended and that nobody has asked about is no longer alive.
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};

async function untilGone(pids: readonly number[]): Promise<number[]> {
  for (let left = 1000; left > 0 && pids.some(isAlive); left--) await sleep(10);
  return pids.filter(isAlive);
}

/** Starts the demo, ends it under load, and says with what, and which processes it had started. */
async function endUnderLoad(
  signal: NodeJS.Signals,
): Promise<{ code: number | null; pids: number[] }> {
  const demo = spawn(process.execPath, [main, 'demo', '--seconds', '60'], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(demo, 'exit') as Promise<[number | null]>;
  let text = '';
  demo.stdout.on('data', (part: Buffer) => (text += String(part)));
  // It is read to the end: a demo that nobody listens to any more ends at once.
  while (!text.includes('have started')) await once(demo.stdout, 'data');
  const [made = ''] = readdirSync(folder);
  const postmaster = readFileSync(join(folder, made, 'data/postmaster.pid'), 'utf8');
  const pids = [Number(/process (\d+)/.exec(text)?.[1]), Number(postmaster.split('\n')[0])];
  expect(pids.every(isAlive)).toBe(true);
  demo.kill(signal);
  const [code] = await ended;
  return { code, pids };
}

test('Ctrl-C ends the demo with everything that it has started and written', async ({ skip }) => {
  skip(process.platform !== 'linux', 'looks for processes in /proc');
  const { code, pids } = await endUnderLoad('SIGINT');
  expect(code).toBe(0);
  expect(await untilGone(pids)).toEqual([]);
  expect(readdirSync(folder)).toEqual([]);
});

test('a demo that is killed leaves no process behind', async ({ skip }) => {
  skip(process.platform !== 'linux', 'looks for processes in /proc');
  const { pids } = await endUnderLoad('SIGKILL');
  expect(await untilGone(pids)).toEqual([]);
});
