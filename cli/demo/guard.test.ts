import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { platform } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { guard } from './guard.ts';

const file = join(import.meta.dirname, 'guard.ts');

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let left = 400; left > 0 && !condition(); left--) await sleep(10);
}

test('a guarded process ends when its owner is killed', async ({ skip }) => {
  skip(platform() === 'win32', 'there is no guard on Windows');
  const script = `
    import { spawn } from 'node:child_process';
    import { guard } from '${file}';
    const { pid } = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' });
    guard(pid, 'KILL');
    process.stdout.write(String(pid));
    setInterval(() => {}, 1000);`;
  const owner = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [text] = (await once(owner.stdout, 'data')) as [Buffer];
  const pid = Number(text.toString());
  expect(isAlive(pid)).toBe(true);
  owner.kill('SIGKILL');
  await until(() => !isAlive(pid));
  expect(isAlive(pid)).toBe(false);
});

test('a guard that was disposed of hits nobody', async ({ skip }) => {
  skip(platform() === 'win32', 'there is no guard on Windows');
  const sleeper = spawn('sleep', ['60'], { stdio: 'ignore' });
  const watch = guard(sleeper.pid ?? 0, 'KILL');
  watch[Symbol.dispose]();
  await sleep(100);
  expect(isAlive(sleeper.pid ?? 0)).toBe(true);
  sleeper.kill('SIGKILL');
  await once(sleeper, 'exit');
});
