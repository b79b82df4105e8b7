import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { MillraceError } from '../../errors.ts';
import { guard } from './guard.ts';
import { findPostgres, type PostgresProgram } from './postgres-program.ts';

/** A Postgres server of our own, with logical decoding on, gone when disposed of. */
export interface EmbeddedPostgres extends AsyncDisposable {
  /** Connection string of the superuser, with its password, for the database `postgres`. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** From now on it stays when we end. */
  leave(): void;
}

const START_TIMEOUT_MS = 30_000;

/**
 * Makes a cluster in `folder` and starts it on a free port of 127.0.0.1. `settings` are configuration
 * parameters as in postgresql.conf. Throws `ENVIRONMENT` if it does not come up.
 */
export async function startPostgres(
  folder: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<EmbeddedPostgres> {
  const program = await findPostgres(folder);
  const password = randomBytes(12).toString('hex');
  const data = await initialise(program, folder, password);
  const port = await freePort();
  const flags = Object.entries({
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    port: String(port),
    wal_level: 'logical',
    ...settings,
  }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const logFile = join(folder, 'postgres.log');
  const log = openSync(logFile, 'a');
  const server = spawn(program.postgres, ['-D', data, ...flags], {
    ...program.user,
    stdio: ['ignore', log, log],
    // A group of its own: Ctrl-C is for us, who then stop it in order.
    detached: true,
  });
  closeSync(log);
  await once(server, 'spawn');
  const pid = server.pid ?? 0;
  const watch = guard(pid, 'INT');
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  let left = false;
  const running: EmbeddedPostgres = {
    url,
    port,
    pid,
    leave: () => {
      left = true;
      watch[Symbol.dispose]();
      server.unref();
    },
    [Symbol.asyncDispose]: async () => {
      if (left) return;
      await stop(server);
      watch[Symbol.dispose]();
    },
  };
  try {
    await ready(server, url, logFile);
    return running;
  } catch (error) {
    await running[Symbol.asyncDispose]();
    throw error;
  }
}

async function initialise(
  program: PostgresProgram,
  folder: string,
  password: string,
): Promise<string> {
  const data = join(folder, 'data');
  const passwordFile = join(folder, 'password');
  mkdirSync(data);
  writeFileSync(passwordFile, password, { mode: 0o600 });
  const { uid, gid } = program.user;
  if (uid !== undefined && gid !== undefined) {
    chmodSync(folder, 0o711);
    for (const path of [data, passwordFile]) chownSync(path, uid, gid);
  }
  const options = ['--username=postgres', `--pwfile=${passwordFile}`, '--auth=scram-sha-256'];
  try {
    await promisify(execFile)(
      program.initdb,
      ['-D', data, '--encoding=UTF8', '--locale=C', '--no-sync', ...options],
      { ...program.user, cwd: folder },
    );
  } catch (cause) {
    throw new MillraceError(
      'ENVIRONMENT',
      'The embedded Postgres could not make its data folder.',
      {
        place: data,
        cause,
      },
    );
  }
  return data;
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function ready(server: ChildProcess, url: string, logFile: string): Promise<void> {
  const until = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const client = new Client({ connectionString: url });
    // An error of a connection that failed is in what `connect` throws.
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.end();
      return;
    } catch (cause) {
      if (server.exitCode !== null || performance.now() > until) {
        const lines = readFileSync(logFile, 'utf8').trimEnd().split('\n');
        const last = lines.findLast((line) => line.includes('FATAL:')) ?? lines.at(-1) ?? '';
        throw new MillraceError('ENVIRONMENT', `The embedded Postgres did not start: ${last}`, {
          cause,
        });
      }
    }
    await sleep(25);
  }
}

/** A fast shutdown (SIGINT): open transactions are rolled back and the data is in order. */
async function stop(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const gone = once(server, 'exit');
  server.kill('SIGINT');
  await gone;
}
