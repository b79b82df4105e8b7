import type { DatabaseSync } from 'node:sqlite';
import type { Log } from '../../log.ts';
import {
  type Compatibility,
  embeddedRegistry,
  type EmbeddedRegistry,
} from '../../schemas/embedded-registry.ts';
import type { Broker } from '../broker.ts';
import { brokerError, openDatabase } from './database.ts';
import { Durability } from './durability.ts';
import { EmbeddedBroker } from './embedded-broker.ts';

export interface EmbeddedOptions {
  /** Folder of the file `broker.sqlite`; made if it is not there. */
  readonly path: string;
  /**
   * Whether a publish is on the disk when it resolves (default true). Without it a crash of this
   * process still loses nothing, but a crash of the *machine* may lose the last publishes of which
   * the source was told that it may forget them.
   */
  readonly fsync?: boolean;
  /**
   * What the registry asks of a subject's next schema: that it can read what the last one wrote, or
   * nothing (default), because a sink decides by table what a changed schema means.
   */
  readonly compatibility?: Compatibility | undefined;
  /** Bytes of the largest record, key and headers included (default 256 MiB). */
  readonly recordBytesMax?: number;
  /** Milliseconds since 1970, for retention. */
  readonly now?: () => number;
  /** Keys that compaction keeps in memory at once (default 1.3 million, 48 MiB). */
  readonly compactionKeysMax?: number;
}

/** Broker and registry in one SQLite file, for one process. */
export interface Embedded extends AsyncDisposable {
  readonly broker: Broker;
  readonly registry: EmbeddedRegistry;
  /** Forgets and compacts now what retention allows; otherwise it happens in the background. */
  maintain(now?: number): Promise<void>;
}

/**
 * Opens the embedded broker.
 *
 * @throws BROKER_IN_USE if another process, or this one, has it open; BROKER_CORRUPT, BROKER_FULL,
 * ENVIRONMENT if the file cannot be used
 */
export async function openEmbedded(options: EmbeddedOptions, log: Log): Promise<Embedded> {
  const database = openDatabase(options.path, options.fsync ?? true);
  try {
    const now = options.now ?? Date.now;
    const durability = await Durability.open(database, options.path, options.fsync ?? true);
    const broker = new EmbeddedBroker({ database, durability, log, now, options });
    return {
      broker,
      registry: registryOf(database, options.compatibility ?? 'NONE'),
      maintain: (at = now()) => broker.maintain(at),
      [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose](),
    };
  } catch (error) {
    database.close();
    throw brokerError(error);
  }
}

/**
 * The registry of the file, with the broker's codes for what the file may do. Where it takes any schema,
 * each record is still read with the one it was written with, and what a change means for a table is
 * decided by its sink, where it stops that table only (I7).
 */
function registryOf(database: DatabaseSync, compatibility: Compatibility): EmbeddedRegistry {
  const registry = embeddedRegistry(database, compatibility);
  return {
    ...registry,
    register: (subject, schema) =>
      registry.register(subject, schema).catch((error: unknown) => {
        throw brokerError(error);
      }),
  };
}
