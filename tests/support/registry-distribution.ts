import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Apicurio: the last version that Java 17 runs, with Confluent's interface under `/apis/ccompat/v7`. */
const VERSION = '2.6.13.Final';
const ARTIFACT = `io.apicurio:apicurio-registry-app:${VERSION}:tar.gz:all`;

/** Why no registry can be started here; null if one can. */
export function whyNoRegistry(): string | null {
  if (!isThere('java')) return 'the registry needs Java 17 or newer (`java` on the path)';
  if (existsSync(home()) || isThere('mvn')) return null;
  return 'the registry is fetched with Maven (`mvn` on the path)';
}

/** The folder of the registry's jars; fetched once with Maven and kept in the user's cache. */
export async function registryDistribution(): Promise<string> {
  if (existsSync(home())) return home();
  const cache = join(home(), '..');
  await mkdir(cache, { recursive: true });
  // Built aside and moved into place, so that two test runs at once do no harm.
  const folder = await mkdtemp(join(cache, '.fetching-'));
  try {
    await fetchArchive(folder);
    const archive = (await readdir(folder)).find((name) => name.endsWith('.tar.gz'));
    if (archive === undefined) throw new Error(`Maven brought no archive of ${ARTIFACT}`);
    await run('tar', ['-xzf', join(folder, archive), '-C', folder]);
    await rm(join(folder, archive));
    await rename(folder, home()).catch((error: unknown) => {
      if (!existsSync(home())) throw error;
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return home();
}

function home(): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  return join(cache, 'millrace', 'apicurio', VERSION);
}

async function fetchArchive(folder: string): Promise<void> {
  const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy';
  // Maven remembers a failed download and would not ask again without -U. A pom.xml in the working
  // folder would be read, so it is one without.
  const args = [
    '-q',
    '-B',
    '-U',
    '-ntp',
    goal,
    `-Dartifact=${ARTIFACT}`,
    `-DoutputDirectory=${folder}`,
  ];
  for (let attempt = 1; ; attempt++) {
    try {
      await run('mvn', args, { cwd: folder, maxBuffer: 16 * 1024 * 1024 });
      return;
    } catch (error) {
      if (attempt === 4) throw error;
    }
  }
}

function isThere(command: string): boolean {
  try {
    execFileSync('which', [command], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
