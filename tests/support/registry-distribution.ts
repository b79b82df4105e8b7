import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cached, cacheFolder, isThere, mavenDependency } from './maven.ts';

const run = promisify(execFile);

/** Apicurio: the last version that Java 17 runs, with Confluent's interface under `/apis/ccompat/v7`. */
const VERSION = '2.6.13.Final';
const ARTIFACT = `io.apicurio:apicurio-registry-app:${VERSION}:tar.gz:all`;
const home = cacheFolder('apicurio', VERSION);

/** Why no registry can be started here; null if one can. */
export function whyNoRegistry(): string | null {
  if (!isThere('java')) return 'the registry needs Java 17 or newer (`java` on the path)';
  if (existsSync(home) || isThere('mvn')) return null;
  return 'the registry is fetched with Maven (`mvn` on the path)';
}

/** The folder of the registry's jars; fetched once with Maven and kept in the user's cache. */
export function registryDistribution(): Promise<string> {
  return cached(home, async (folder) => {
    const options = [`-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${folder}`];
    // A pom.xml in the working folder would be read, so it is one without.
    await mavenDependency('copy', options, folder);
    const archive = (await readdir(folder)).find((name) => name.endsWith('.tar.gz'));
    if (archive === undefined) throw new Error(`Maven brought no archive of ${ARTIFACT}`);
    await run('tar', ['-xzf', join(folder, archive), '-C', folder]);
    await rm(join(folder, archive));
  });
}
