import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export function isThere(command: string): boolean {
  try {
    execFileSync('which', [command], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A folder of the user's cache, for what is fetched once. */
export function cacheFolder(name: string, version: string): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  return join(cache, 'millrace', name, version);
}

/** Fills a folder of the cache if it is not there. */
export async function cached(
  home: string,
  fill: (folder: string) => Promise<void>,
): Promise<string> {
  if (existsSync(home)) return home;
  const cache = join(home, '..');
  await mkdir(cache, { recursive: true });
  // Built aside and moved into place, so that two test runs at once do no harm.
  const folder = await mkdtemp(join(cache, '.fetching-'));
  try {
    await fill(folder);
    await rename(folder, home).catch((error: unknown) => {
      if (!existsSync(home)) throw error;
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return home;
}

/** Runs a goal of Maven's dependency plugin in a folder, four times at most: a download may fail. */
export async function mavenDependency(
  goal: 'copy' | 'copy-dependencies',
  options: readonly string[],
  folder: string,
): Promise<void> {
  const plugin = `org.apache.maven.plugins:maven-dependency-plugin:3.6.1:${goal}`;
  // Maven remembers a failed download and would not ask again without -U.
  const args = ['-q', '-B', '-U', '-ntp', plugin, ...options];
  for (let attempt = 1; ; attempt++) {
    try {
      await run('mvn', args, { cwd: folder, maxBuffer: 16 * 1024 * 1024 });
      return;
    } catch (error) {
      if (attempt === 4) throw error;
    }
  }
}
