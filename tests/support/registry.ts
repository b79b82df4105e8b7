import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { registryDistribution } from './registry-distribution.ts';
import { freePorts, supervised } from './supervised.ts';

const HOST = '127.0.0.1';
const START_TIMEOUT_MS = 120_000;

/** A real registry with Confluent's interface, on a port of its own, with its schemas in memory. */
export interface TestRegistry extends AsyncDisposable {
  /** Base address of the interface. */
  readonly url: string;
  readonly port: number;
}

export async function startRegistry(): Promise<TestRegistry> {
  const home = await registryDistribution();
  const jar = (await readdir(home)).find((name) => /^(quarkus-run|.*-runner)\.jar$/.test(name));
  if (jar === undefined) throw new Error(`${home} has no runnable jar`);
  const folder = await mkdtemp(join(tmpdir(), 'millrace-registry-'));
  const [port = 0] = await freePorts(1);
  const log = join(folder, 'log');
  const options = [
    ['registry.ccompat.use-canonical-hash', true],
    ['quarkus.http.host', HOST],
    ['quarkus.http.port', port],
    // Twenty connections are opened by default; a database in memory needs two.
    ['quarkus.datasource.jdbc.initial-size', 2],
    ['quarkus.datasource.jdbc.min-size', 2],
    ['quarkus.datasource.jdbc.max-size', 8],
  ].map(([name, value]) => `-D${name}=${value}`);
  const args = [...JVM, ...options, '-jar', join(home, jar)];
  const child = await supervised('java', args, log);
  const url = `http://${HOST}:${port}/apis/ccompat/v7`;
  try {
    await child.untilLogged('Listening on', START_TIMEOUT_MS);
    // Confluent's default; Apicurio's is NONE.
    await send(`${url}/config`, 'PUT', { compatibility: 'BACKWARD' });
  } catch (error) {
    await child.kill();
    throw error;
  }
  return {
    url,
    port,
    [Symbol.asyncDispose]: async () => {
      await child.kill();
      await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** Lets everything be registered under a subject: the Confluent interface of Apicurio has no such rule. */
export async function allowEverything({ port }: TestRegistry, subject: string): Promise<void> {
  const artifact = `http://${HOST}:${port}/apis/registry/v2/groups/default/artifacts/${subject}`;
  await send(`${artifact}/rules`, 'POST', { type: 'COMPATIBILITY', config: 'NONE' });
}

async function send(url: string, method: string, body: unknown): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const { ok, status } = await fetch(url, { method, headers, body: JSON.stringify(body) });
  if (!ok) throw new Error(`${method} ${url}: the registry answered ${status}`);
}

const JVM = ['-Xms64m', '-Xmx192m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
