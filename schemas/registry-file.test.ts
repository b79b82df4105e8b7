import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { registryConformance } from '../tests/conformance/registry.ts';
import { temporaryFolder } from '../tests/temporary-folder.ts';
import { embeddedRegistry } from './embedded-registry.ts';
import { registryFile } from './registry-file.ts';

registryConformance('in a file of its own', {
  async open() {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-registry-'));
    let registry = registryFile(folder, 'BACKWARD');
    return {
      get registry() {
        return registry;
      },
      async reopen() {
        await registry[Symbol.asyncDispose]();
        registry = registryFile(folder, 'BACKWARD');
      },
      async allowEverything(subject) {
        using database = new DatabaseSync(join(folder, 'registry.sqlite'));
        await embeddedRegistry(database).setCompatibility(subject, 'NONE');
      },
      async [Symbol.asyncDispose]() {
        await registry[Symbol.asyncDispose]();
        await rm(folder, { recursive: true });
      },
    };
  },
});

test('nothing is made before the first schema is asked for', async () => {
  const folder = join(await temporaryFolder(), 'broker');
  await using registry = registryFile(folder, 'NONE');
  expect(existsSync(folder)).toBe(false);
  await registry.register('s', 'int');
  expect(existsSync(folder)).toBe(true);
});

test('two that are open at once see what the other has registered', async () => {
  const folder = await temporaryFolder();
  await using one = registryFile(folder, 'NONE');
  await using two = registryFile(folder, 'NONE');
  const id = await one.register('s', 'int');
  expect(await two.byId(id)).toBe('int');
  expect(await two.register('s', 'int')).toBe(id);
  expect(await two.register('s', 'long')).toBeGreaterThan(id);
});
