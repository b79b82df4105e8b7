import { execFile } from 'node:child_process';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { programFolder, type PostgresVersion, type TestPostgres } from './postgres.ts';

const run = promisify(execFile);

export interface Standby extends AsyncDisposable {
  readonly port: number;
  /** The same as its primary's but for the port. */
  readonly url: string;
  /** Makes it the primary. */
  promote(): Promise<void>;
}

export interface StandbyOptions {
  readonly version: PostgresVersion;
  /** Keeps the primary's failover slots in step (17 and newer), and lets them go no further than itself. */
  readonly slots?: boolean;
}

const SLOT = 'standby';

/** A copy of a server on this machine that follows it, until it is promoted. */
export async function startStandby(
  primary: TestPostgres,
  { version, slots = false }: StandbyOptions,
): Promise<Standby> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-standby-'));
  const owner = userInfo().uid === 0 ? await postgresUser() : null;
  if (owner !== null) await chown(folder, owner.uid, owner.gid);
  const data = join(folder, 'data');
  const as = (program: string, ...flags: string[]): Promise<unknown> =>
    run(program, flags, { ...owner, cwd: folder });
  await copy(primary, data, { as, owner, slots });
  const port = await freePort();
  // A standby needs as many senders as its primary.
  const settings = [
    `-p ${port} -k ${folder} -h 127.0.0.1`,
    '-c fsync=off -c wal_level=logical -c max_wal_senders=20 -c max_replication_slots=20',
    ...(slots ? ['-c hot_standby_feedback=on -c sync_replication_slots=on'] : []),
  ].join(' ');
  const control = join(await programFolder(version), 'pg_ctl');
  await as(control, '-D', data, '-w', '-l', join(folder, 'log'), '-o', settings, 'start');
  if (slots) {
    await asked(primary.url, async (client) => {
      await client.query(`ALTER SYSTEM SET synchronized_standby_slots = ${SLOT}`);
      await client.query('SELECT pg_reload_conf()');
    });
  }
  return {
    port,
    url: primary.url.replace(`:${primary.port}/`, `:${port}/`),
    promote: async () => {
      await as(control, '-D', data, '-w', 'promote');
    },
    [Symbol.asyncDispose]: async () => {
      await as(control, '-D', data, '-m', 'immediate', 'stop');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The files of a running server, as its manual says ("Making a Base Backup Using the Low Level API"). */
async function copy(
  primary: TestPostgres,
  data: string,
  {
    as,
    owner,
    slots,
  }: {
    readonly as: (program: string, ...flags: string[]) => Promise<unknown>;
    readonly owner: { readonly uid: number; readonly gid: number } | null;
    readonly slots: boolean;
  },
): Promise<void> {
  await asked(primary.url, async (client) => {
    if (slots) await client.query(`SELECT pg_create_physical_replication_slot('${SLOT}', true)`);
    await client.query(`SELECT pg_backup_start('standby', true)`);
    // Files come and go under it; what matters of that is in the WAL.
    await as('cp', '-a', join(primary.socketFolder, 'data'), data).catch(() => undefined);
    const { rows } = await client.query<{ labelfile: string }>(
      'SELECT labelfile FROM pg_backup_stop(false)',
    );
    await as(
      'sh',
      '-c',
      `rm -rf '${data}/postmaster.pid' '${data}/pg_replslot'/* '${data}/pg_wal'/0*`,
    );
    const label = rows[0]?.labelfile ?? '';
    const connection = `host=127.0.0.1 port=${primary.port} user=postgres password=secret dbname=postgres`;
    const conf = `primary_conninfo = '${connection}'\n${slots ? `primary_slot_name = '${SLOT}'\n` : ''}`;
    const files = { backup_label: label, 'standby.signal': '', 'postgresql.auto.conf': conf };
    for (const [name, text] of Object.entries(files)) {
      await writeFile(join(data, name), text);
      if (owner !== null) await chown(join(data, name), owner.uid, owner.gid);
    }
  });
}

async function asked<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
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
