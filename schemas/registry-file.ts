import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import {
  type Compatibility,
  embeddedRegistry,
  type EmbeddedRegistry,
} from './embedded-registry.ts';
import type { SchemaRegistry } from './registry.ts';

/**
 * The registry in a file of its own, for topics that are not in one: processes of one machine share it.
 * Ids mean something to those who have the file. It is made when the first schema is asked for.
 */
export function registryFile(folder: string, compatibility: Compatibility): SchemaRegistry {
  let opened: { readonly database: DatabaseSync; readonly registry: EmbeddedRegistry } | null =
    null;
  const open = (): EmbeddedRegistry => (opened ??= openFile(folder, compatibility)).registry;
  return {
    register: async (subject, schema) => open().register(subject, schema),
    byId: async (id) => open().byId(id),
    [Symbol.asyncDispose]: async () => opened?.database.close(),
  };
}

function openFile(folder: string, compatibility: Compatibility) {
  mkdirSync(folder, { recursive: true });
  const database = new DatabaseSync(join(folder, 'registry.sqlite'), { timeout: 5_000 });
  // An id is on a topic for good as soon as it is given.
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  return { database, registry: embeddedRegistry(database, compatibility) };
}
