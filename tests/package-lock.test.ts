import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

interface LockedPackage {
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const lock = JSON.parse(
  readFileSync(join(import.meta.dirname, '../package-lock.json'), 'utf8'),
) as { readonly packages: Readonly<Record<string, LockedPackage>> };

test('the lock file names the binaries of every platform, or `npm ci` refuses it', () => {
  // A registry that lacks some of them makes npm leave them out when it writes the file.
  const missing = Object.values(lock.packages)
    .flatMap(({ optionalDependencies }) => Object.keys(optionalDependencies ?? {}))
    .filter((name) => lock.packages[`node_modules/${name}`] === undefined);
  expect(missing).toEqual([]);
});

test('a binary of another platform is never installed here', () => {
  const everywhere = Object.values(lock.packages)
    .flatMap(({ optionalDependencies }) => Object.keys(optionalDependencies ?? {}))
    .filter((name) => /darwin|win32|windows|android|freebsd|wasm32/.test(name))
    .filter((name) => {
      const found = lock.packages[`node_modules/${name}`];
      return found?.optional !== true || (found.os ?? found.cpu) === undefined;
    });
  expect(everywhere).toEqual([]);
});
