import { execFile } from 'node:child_process';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const programs = '/usr/lib/postgresql/15/bin';

export interface Standby extends AsyncDisposable {
  readonly port: number;
  /** Makes it the primary. */
  promote(): Promise<void>;
}

/** A copy of a server of PostgreSQL 15 that follows it, until it is promoted. */
export async function startStandby(primaryUrl: string): Promise<Standby> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-standby-'));
  const owner = userInfo().uid === 0 ? await postgresUser() : null;
  if (owner !== null) await chown(folder, owner.uid, owner.gid);
  const data = join(folder, 'data');
  const as = (program: string, ...flags: string[]): Promise<unknown> =>
    run(join(programs, program), flags, { ...owner, cwd: folder });
  await as('pg_basebackup', '-D', data, '-R', '-d', primaryUrl, '--checkpoint=fast', '--no-sync');
  const port = await freePort();
  // A standby needs as many senders as its primary.
  const settings = `-p ${port} -k ${folder} -c fsync=off -c wal_level=logical -c max_wal_senders=20`;
  await as('pg_ctl', '-D', data, '-w', '-l', join(folder, 'log'), '-o', settings, 'start');
  return {
    port,
    promote: async () => {
      await as('pg_ctl', '-D', data, '-w', 'promote');
    },
    [Symbol.asyncDispose]: async () => {
      await as('pg_ctl', '-D', data, '-m', 'immediate', 'stop');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function postgresUser(): Promise<{ uid: number; gid: number }> {
  return { uid: await id('-u'), gid: await id('-g') };
}

async function id(flag: string): Promise<number> {
  return Number((await run('id', [flag, 'postgres'])).stdout);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
