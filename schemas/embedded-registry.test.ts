import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { registryConformance } from '../tests/conformance/registry.ts';
import { embeddedRegistry } from './embedded-registry.ts';

registryConformance('embedded', {
  async open() {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-registry-'));
    const file = join(folder, 'registry.sqlite');
    let database = new DatabaseSync(file);
    let registry = embeddedRegistry(database);
    return {
      get registry() {
        return registry;
      },
      async reopen() {
        await registry[Symbol.asyncDispose]();
        database.close();
        database = new DatabaseSync(file);
        registry = embeddedRegistry(database);
      },
      allowEverything: (subject) => registry.setCompatibility(subject, 'NONE'),
      async [Symbol.asyncDispose]() {
        database.close();
        await rm(folder, { recursive: true });
      },
    };
  },
});

test('versions of a subject count from 1, and one that comes back keeps its number', async () => {
  using database = new DatabaseSync(':memory:');
  const registry = embeddedRegistry(database);
  const first = await registry.register('s', 'int');
  const second = await registry.register('s', 'long');
  expect(await registry.register('s', 'int')).toBe(first);
  expect(await registry.versions('s')).toEqual([
    { version: 1, id: first },
    { version: 2, id: second },
  ]);
  expect(await registry.versions('other')).toEqual([]);
});

test('what is not Avro is refused with its place, also where everything is allowed', async () => {
  using database = new DatabaseSync(':memory:');
  const registry = embeddedRegistry(database);
  const code = { code: 'SCHEMA_INVALID' };
  await expect(registry.register('s', 'no.such.Type')).rejects.toMatchObject(code);
  await registry.setCompatibility('s', 'NONE');
  await expect(registry.register('s', { type: 'array' } as never)).rejects.toMatchObject(code);
  expect(await registry.versions('s')).toEqual([]);
});

test('the message names subject, field and reason', async () => {
  using database = new DatabaseSync(':memory:');
  const registry = embeddedRegistry(database);
  await registry.register('orders-value', row('long'));
  await expect(registry.register('orders-value', row('int'))).rejects.toMatchObject({
    message: 'total: long was written, which int cannot read.',
    place: 'subject orders-value, version 1',
  });
});

const row = (type: string) =>
  ({ type: 'record', name: 'Row', fields: [{ name: 'total', type }] }) as const;
