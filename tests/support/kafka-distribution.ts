import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cached, cacheFolder, isThere, mavenDependency } from './maven.ts';

const run = promisify(execFile);

/** The versions that are tested; the first is the one that most tests use. */
export const kafkaVersions = ['4.3.1', '3.9.2'] as const;
export type KafkaVersion = (typeof kafkaVersions)[number];

/** Why no broker can be started here; null if one can. */
export function whyNoKafka(): string | null {
  const said = process.env['NO_KAFKA'];
  if (said !== undefined) return said;
  if (!isThere('java')) return 'Apache Kafka needs Java 17 or newer (`java` on the path)';
  const cached = kafkaVersions.every((version) => existsSync(join(folderOf(version), 'libs')));
  if (cached || isThere('mvn')) return null;
  return 'Apache Kafka is fetched with Maven (`mvn` on the path)';
}

/**
 * Folder of a version's jars and of a formatted storage to copy: `libs/`, `bootstrap.checkpoint`. It is
 * fetched once with Maven and kept in the user's cache.
 */
export function kafkaDistribution(version: KafkaVersion): Promise<string> {
  return cached(folderOf(version), async (folder) => {
    const pom = join(import.meta.dirname, 'kafka/pom.xml');
    const output = `-DoutputDirectory=${join(folder, 'libs')}`;
    const options = ['-f', pom, `-Dkafka.version=${version}`, '-DincludeScope=runtime', output];
    await mavenDependency('copy-dependencies', options, folder);
    await format(folder);
  });
}

const folderOf = (version: KafkaVersion): string => cacheFolder('kafka', version);

/**
 * Formats a storage folder once per version. Its checkpoint holds feature levels only, no cluster or node,
 * so a test copies it and saves a JVM's start.
 */
async function format(folder: string): Promise<void> {
  const data = join(folder, 'formatted');
  const properties = join(folder, 'format.properties');
  const settings = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': '1@127.0.0.1:1',
    listeners: 'PLAINTEXT://127.0.0.1:2,CONTROLLER://127.0.0.1:1',
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': data,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(properties, lines.join(''));
  const tool = ['-cp', join(folder, 'libs/*'), 'kafka.tools.StorageTool'];
  await run('java', [...tool, 'format', '-t', 'AAAAAAAAAAAAAAAAAAAAAQ', '-c', properties]);
  await copyFile(join(data, 'bootstrap.checkpoint'), join(folder, 'bootstrap.checkpoint'));
  await rm(data, { recursive: true });
}
