import { MillraceError } from '../../errors.ts';
import type { OutgoingBuffer } from '../../broker/outgoing-buffer.ts';
import { cataloguedTable } from './catalogue.ts';
import { Connection } from './connection.ts';
import { ruledColumns, withRules } from './column-rules.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import type { ResolvedOptions } from './options.ts';
import type { Relation } from './pgoutput.ts';
import { tableOfRelation } from './relation.ts';
import { openTableEncoder, type TableEncoder } from './table-encoder.ts';
import { tableFilter, type TableFilter } from './table-filter.ts';
import type { PgTable } from './table.ts';
import { isBinarySafe } from './types/codec-of.ts';

/** Whether all columns can come in their binary form. */
export function comesBinary(table: PgTable): boolean {
  return table.columns.every(({ type }) => isBinarySafe(type));
}

/** Finds out about the tables that a stream describes. */
export class StreamTables {
  /** Whether the stream asks for values in their binary form. */
  readonly binary: boolean;
  readonly #settings: ConnectionSettings;
  readonly #options: ResolvedOptions;
  readonly #filter: TableFilter;
  readonly #signal: AbortSignal;
  /** As the catalogue was when the stream was opened; each is good for its first description. */
  readonly #known: Map<number, PgTable>;
  /** Names under which they were captured then. */
  readonly #names: ReadonlyMap<number, string>;

  constructor(
    about: {
      readonly settings: ConnectionSettings;
      readonly options: ResolvedOptions;
      readonly tables: readonly PgTable[];
      readonly binary: boolean;
    },
    signal: AbortSignal,
  ) {
    this.binary = about.binary;
    this.#settings = about.settings;
    this.#options = about.options;
    this.#filter = tableFilter(about.options.tables);
    this.#known = new Map(about.tables.map((table) => [table.oid, table]));
    this.#names = new Map(about.tables.map((table) => [table.oid, nameOf(table)]));
    this.#signal = signal;
  }

  /** Null if the table is not captured. Throws `SOURCE_FORMAT` if it cannot come over a binary stream. */
  async encoderOf(relation: Relation, buffer: OutgoingBuffer): Promise<TableEncoder | null> {
    await this.#checkName(relation);
    if (!this.#filter.matches(relation.schema, relation.name)) return null;
    const described = tableOfRelation(relation, await this.#look(relation.oid));
    await this.#checkRules(described);
    const table = withRules(described, this.#options);
    if (this.binary && !comesBinary(table)) {
      throw new MillraceError('SOURCE_FORMAT', 'A table got a column that must come as text.', {
        place: `${relation.schema}.${relation.name}`,
      });
    }
    const { database } = this.#settings;
    return openTableEncoder(table, { ...this.#options, buffer, database });
  }

  /**
   * A column that is to be hidden must not come out under another name. It may be missing from a
   * description that is older than the column.
   */
  async #checkRules(table: PgTable): Promise<void> {
    const missing = ruledColumns(table, this.#options).filter((name) => !has(table, name));
    if (missing.length === 0) return;
    const now = await this.#now(table.oid);
    const gone = missing.filter((name) => now === null || !has(now, name));
    if (gone.length === 0) return;
    throw new MillraceError(
      'SOURCE_TABLE_CHANGED',
      'A column with a rule was renamed or dropped.',
      {
        place: `${nameOf(table)}, column ${gone.join(', ')}`,
        remedy:
          'Correct `source.columns` and start again: nothing of the changed table was captured.',
      },
    );
  }

  /**
   * A table that was renamed is another table to everybody downstream: it is not to leave silently, nor
   * to go on under a topic that has only its changes. A description that is older than the rename, of
   * a table that is configured by its new name, is nothing new.
   */
  async #checkName(relation: Relation): Promise<void> {
    const before = this.#names.get(relation.oid);
    const now = nameOf(relation);
    if (before === undefined || before === now) return;
    const table = await this.#now(relation.oid);
    if (table === null || nameOf(table) !== now) return;
    throw new MillraceError('SOURCE_TABLE_CHANGED', `The table ${before} was renamed.`, {
      place: now,
      remedy: `Put ${now} in the place of ${before} in \`source.tables\`: it is copied to a topic of its own. The old topic stays.`,
    });
  }

  /** DDL is rare: a connection for each look costs less than one that is kept for ever. */
  async #look(oid: number): Promise<PgTable | null> {
    const known = this.#known.get(oid);
    this.#known.delete(oid);
    return known ?? this.#now(oid);
  }

  async #now(oid: number): Promise<PgTable | null> {
    await using connection = await Connection.open(this.#settings, this.#signal);
    return (await cataloguedTable(connection, oid))?.table ?? null;
  }
}

function nameOf({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return `${schema}.${name}`;
}

function has({ columns }: PgTable, name: string): boolean {
  return columns.some((column) => column.name === name);
}
