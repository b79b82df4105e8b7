import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'millrace-package-'));
const installed = join(folder, 'node_modules/millrace');

/** Our Node first; nothing of the npm that runs these tests, except where its registry and cache are. */
const env = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) =>
        !/^(npm_(package|lifecycle)_|npm_config_(local_|global_)?prefix$|INIT_CWD)/.test(name),
    ),
  ),
  PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH']}`,
};

const inFolder = (command: string, ...args: string[]) =>
  run(command, args, { cwd: folder, env, maxBuffer: 64 * 1024 * 1024 });

beforeAll(async () => {
  await run('npm', ['pack', '--pack-destination', folder], { cwd: root, env });
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    version: string;
  };
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  await inFolder(
    'npm',
    'install',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    `./millrace-${version}.tgz`,
  );
}, 240_000);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('the package, installed in an empty folder', () => {
  test('holds compiled code with types, and neither tests nor benchmarks', () => {
    const missing = ['bin.js', 'main.js', 'sinks/sink.d.ts', 'broker/records.js'].filter(
      (file) => !existsSync(join(installed, 'dist', file)),
    );
    expect(missing).toEqual([]);
    const unwanted = ['tests', 'bench', 'dist/tests', 'dist/bench', 'main.ts'].filter((file) =>
      existsSync(join(installed, file)),
    );
    expect(unwanted).toEqual([]);
  });

  test('gives its ports and their types by name', async () => {
    const { exports } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
      exports: Record<string, unknown>;
    };
    const ports = Object.keys(exports).filter((name) => name !== './package.json');
    const imports = ports.map((name, at) => `import * as m${at} from 'millrace/${name.slice(2)}';`);
    const uses = [
      `import type { Sink } from 'millrace/sink';`,
      `import { topicName } from 'millrace/broker';`,
      `export const name: string = topicName('a', 'b');`,
      `export const write = (sink: Sink, signal: AbortSignal) => sink.write([], signal);`,
      `process.stdout.write(name + ' ' + [${ports.map((_, at) => `m${at}`).join()}].length);`,
    ];
    writeFileSync(join(folder, 'user.ts'), [...imports, ...uses].join('\n'));
    await inFolder(
      process.execPath,
      join(root, 'node_modules/typescript/bin/tsc'),
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2024',
      '--skipLibCheck',
      '--typeRoots',
      join(root, 'node_modules/@types'),
      '--types',
      'node',
      'user.ts',
    );
    expect((await inFolder(process.execPath, 'user.ts')).stdout).toBe(`a.b ${ports.length}`);
  });

  test('runs its demo to the end, with equal tables', { timeout: 90_000 }, async () => {
    const { stdout } = await inFolder('npx', '--no-install', 'millrace', 'demo', '--seconds', '5');
    expect(stdout).toContain('SIGKILL');
    expect(stdout).toContain('Every row and column of every table is equal.');
  });

  test('tells an old Node what it needs, with the exit code for the environment', async ({
    skip,
  }) => {
    const old = oldNode();
    if (old === null) return skip('there is no Node older than 24 on the path');
    const failed = await run(old, [join(installed, 'dist/bin.js'), 'plan']).then(
      () => null,
      (error: { code: number; stderr: string }) => error,
    );
    expect(failed?.code).toBe(3);
    expect(failed?.stderr).toMatch(/^millrace needs Node 24 or newer; this is \d/);
  });
});

/** A Node on the path that is too old for us, as many machines have it; null if there is none. */
function oldNode(): string | null {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  for (const file of folders.map((folder) => join(folder, 'node'))) {
    if (!existsSync(file)) continue;
    const version = execFileSync(file, ['--version'], { encoding: 'utf8' });
    if (Number(version.slice(1).split('.')[0]) < 24) return file;
  }
  return null;
}
