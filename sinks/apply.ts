import type { Dialect, Table } from './dialect.ts';

/** What is known of a staged batch, so that work which it does not need is left out. */
export interface StagedBatch {
  /** False if every staged version is above everything the table has seen: nothing can be stale. */
  readonly guarded: boolean;
  /** No staged key is in the table, or in what it remembers: there is nothing to compare with or replace. */
  readonly areNew: boolean;
  /** Some rows came without all their columns. */
  readonly partial: boolean;
  readonly deletes: boolean;
  /** Now, ms since 1970. */
  readonly now: number;
}

export interface ApplyStatements {
  /** Leave in the stage what is to be applied; `drops`: they drop rows of it. */
  readonly prepare: readonly { readonly sql: string; readonly drops: boolean }[];
  /** Bring it into the table. */
  readonly apply: readonly string[];
}

/**
 * The way of a staged batch, one row per key, into a merge table: set-based, without an index.
 *
 * The table remembers the version of each row, and a table beside it the versions of keys that are gone,
 * so a batch that comes twice or late changes nothing that is newer than it (I6).
 */
export function mergeStatements(
  dialect: Dialect,
  table: Table,
  batch: StagedBatch,
): ApplyStatements {
  const hard = table.deletes === 'hard';
  const bury = hard && batch.deletes ? [dialect.bury(table, batch.now)] : [];
  if (batch.areNew) return { prepare: [], apply: [dialect.insertStaged(table), ...bury] };
  const prepare: { sql: string; drops: boolean }[] = [];
  if (batch.guarded) {
    prepare.push({ sql: dialect.dropStale(table), drops: true }); // I3: what is not newer than the stored row is stale.
    if (hard) prepare.push({ sql: dialect.dropBuried(table), drops: true }); // I6: a late upsert does not undo a delete.
  }
  if (batch.partial) prepare.push({ sql: dialect.fillUnchanged(table), drops: false });
  return {
    prepare,
    apply: [dialect.deleteStagedKeys(table), dialect.insertStaged(table), ...bury],
  };
}
