import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import {
  type Compatibility,
  embeddedRegistry,
  type EmbeddedRegistry,
} from './embedded-registry.ts';

/**
 * The registry in a file of its own, for topics that are not in one: processes of one machine share it.
 * Ids mean something to those who have the file.
 */
export function openRegistryFile(
  folder: string,
  compatibility: Compatibility,
): EmbeddedRegistry & AsyncDisposable {
  mkdirSync(folder, { recursive: true });
  const database = new DatabaseSync(join(folder, 'registry.sqlite'), { timeout: 5_000 });
  // An id is on a topic for good as soon as it is given.
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  return {
    ...embeddedRegistry(database, compatibility),
    [Symbol.asyncDispose]: async () => database.close(),
  };
}
