import type { EnvelopeColumn } from '../schemas/envelope-reader.ts';

/** A column as the sink has it; `type` is the dialect's canonical name of the type. */
export interface Column {
  readonly name: string;
  readonly type: string;
}

export type Mode = 'merge' | 'append';
export type Deletes = 'hard' | 'soft';

/** A table of the sink: the source's columns only. Ours come from {@link ownColumns}. */
export interface Table {
  readonly schema: string;
  readonly name: string;
  readonly mode: Mode;
  readonly deletes: Deletes;
  /** Names of the key columns in key order; empty for a table without a key, which appends. */
  readonly key: readonly string[];
  readonly columns: readonly Column[];
}

/** Columns that Millrace adds. Their names are refused as names of source columns, in any mode. */
export const OWN_COLUMNS = [
  '_version',
  '_deleted',
  '_op',
  '_source_ts',
  '_event_id',
  '_unchanged',
  '_cells',
  '_deleted_at',
] as const;

export type OwnColumn = (typeof OWN_COLUMNS)[number];

/** Our columns of a table, in order, after the source's. */
export function ownColumns(table: Pick<Table, 'mode' | 'deletes'>): readonly OwnColumn[] {
  if (table.mode === 'append') return ['_op', '_version', '_source_ts', '_event_id', '_unchanged'];
  return table.deletes === 'soft' ? ['_version', '_deleted'] : ['_version'];
}

/** Our columns of a staged batch. `_cells` is there only where rows came without all their columns. */
export function stagedOwnColumns(
  table: Pick<Table, 'mode' | 'deletes'>,
  partial: boolean,
): readonly OwnColumn[] {
  if (table.mode === 'append') return ownColumns(table);
  return partial ? ['_version', '_deleted', '_cells'] : ['_version', '_deleted'];
}

/**
 * How a database says what the apply algorithm needs: pure functions from shapes to SQL text. A stage is
 * a temporary table that holds a batch; `partial` says that it has `_cells`.
 */
export interface Dialect {
  /** The type of a column that holds every value of a topic's column exactly. */
  typeOf(column: Pick<EnvelopeColumn, 'schema' | 'type'>): string;
  /** The narrowest type that a column can be given so that it holds its values and the new ones exactly; null if there is none. */
  widest(stored: string, wanted: string): string | null;

  /** Creates the table, its schema, and what remembers deleted keys, where they are not there yet. */
  createTable(table: Table): string;
  addColumn(table: Table, column: Column): string;
  alterType(table: Table, column: Column): string;
  dropTable(table: Pick<Table, 'schema' | 'name'>): string;
  /** Gives a table of the same schema another name, and what remembers its deleted keys. */
  renameTable(table: Table, name: string): string;
  /** Sets columns of every row to what the one staged row of another table has. */
  fillColumns(table: Table, names: readonly string[], staged: Table): string;
  clearColumn(table: Table, name: string): string;
  createStage(table: Table, partial: boolean): string;

  /** Selects the highest values of columns in the table and what it remembers; NULL if there is none. */
  highest(table: Table, columns: readonly string[]): string;
  /** Drops staged rows that the table has in the same or a newer version. */
  dropStale(table: Table): string;
  /** Drops staged rows whose key was deleted in the same or a newer version. */
  dropBuried(table: Table): string;
  /** Gives staged rows the stored values of the cells that no staged change newer than the stored row set. */
  fillUnchanged(table: Table): string;
  deleteStagedKeys(table: Table): string;
  insertStaged(table: Table): string;
  /** Remembers the staged deletes with their versions and the time, ms since 1970. */
  bury(table: Table, now: number): string;
  appendStaged(table: Table): string;
  /** Deletes what is older than a truncate of that version. */
  truncate(table: Table, version: bigint): string;
  /** Forgets deletes that were remembered before a time, ms since 1970. */
  exhume(table: Table, before: number): string;
}
