import type { TopicName } from '../../broker/broker.ts';
import type { EnvelopeColumn } from '../../schemas/envelope-reader.ts';
import { OWN_COLUMNS, type Column, type Dialect, type Mode, type Table } from '../dialect.ts';
import { evolve, type ColumnChange, type Columns, type Evolution } from '../evolution.ts';
import { literal } from '../sql.ts';
import { targetName, type Target } from '../target.ts';
import { isAbove, VERSION_MIN, versionNumber, versionOf, type Version } from '../version.ts';
import { fillColumns } from './fill.ts';
import { integerKey } from './key-span.ts';
import type { DuckdbSession } from './session.ts';
import type { Stage } from './stage.ts';
import { noteName, TableNotes, type TableNote } from './table-notes.ts';
import { conflict, refuseOtherManner } from './table-conflict.ts';
import { TableState } from './table-state.ts';

/** What topics say of a table: the columns of the schema in a step, its key's names, and its version. */
export interface Wanted {
  readonly columns: readonly EnvelopeColumn[];
  readonly key: readonly string[];
  readonly newest: Version;
}

/** What the file holds: columns and notes by the names of tables. */
interface Stored {
  readonly columns: ReadonlyMap<string, readonly Column[]>;
  readonly notes: ReadonlyMap<string, TableNote>;
}

/** Told of a change that was made to a table. */
export type Changed = (table: string, change: ColumnChange) => void;

/**
 * The tables of the sink: made and changed as the topics ask for it, and written down in
 * `_millrace.tables` with the topic, mode and key they were made for.
 */
export class Tables {
  readonly #session: DuckdbSession;
  readonly #dialect: Dialect;
  readonly #notes: TableNotes;
  readonly #changed: Changed;
  readonly #states = new Map<TopicName, TableState>();
  /** Read before the first state, and looked at once for each: what we change later is in the states. */
  #stored: Stored | null = null;

  constructor(session: DuckdbSession, dialect: Dialect, changed: Changed = () => {}) {
    this.#session = session;
    this.#dialect = dialect;
    this.#notes = new TableNotes(session);
    this.#changed = changed;
  }

  create(): Promise<void> {
    return this.#notes.create();
  }

  get all(): Iterable<TableState> {
    return this.#states.values();
  }

  /** Forgets what it knows, which a transaction that failed may have made wrong. */
  forget(): void {
    for (const state of this.#states.values()) state.abandon();
    this.#states.clear();
    this.#stored = null;
  }

  async state(target: Target): Promise<TableState> {
    const known = this.#states.get(target.topic);
    if (known !== undefined) return known;
    const state = new TableState(target);
    await this.#load(state);
    this.#states.set(target.topic, state);
    return state;
  }

  async #load(state: TableState): Promise<void> {
    const { target } = state;
    this.#stored ??= await this.#read();
    const columns = this.#stored.columns.get(keyOf(target));
    const note = this.#stored.notes.get(noteName(target));
    if (note === undefined) {
      if (columns === undefined) return;
      throw conflict(target, 'exists and was not made by Millrace', 'no table, or one of ours');
    }
    if (note.topic !== target.topic) {
      throw conflict(target, `holds the changes of topic ${note.topic}`, 'a table of its own');
    }
    state.truncated = note.truncated;
    if (columns === undefined || note.mode === null) return;
    state.dropped = note.dropped;
    state.shaped = note.shaped ?? VERSION_MIN;
    const { mode, deletes, key } = note;
    const own = columns.filter(({ name }) => !OWN_COLUMNS.some((own) => own === name));
    state.setTable({
      schema: target.schema,
      name: target.table,
      mode,
      deletes,
      key,
      columns: own,
    });
    await this.#loadHighest(state);
  }

  /** What is above everything in the table and its tombstones needs no comparison with them. */
  async #loadHighest(state: TableState): Promise<void> {
    const { table } = state;
    if (table?.mode !== 'merge') return;
    const key = integerKey(table);
    const columns = key === null ? ['_version'] : ['_version', key.name];
    const [row = []] = await this.#session.rows(this.#dialect.highest(table, columns));
    const [version, highest] = row;
    if (version) state.highStored = versionOf(BigInt(version as string));
    if (key !== null) state.highestKey = highest === null ? -Infinity : Number(highest);
  }

  /**
   * Whether the keys of a stage are all above what its table has or remembers; from now on they count as
   * what it has.
   */
  areNew(state: TableState, { keys }: Stage): boolean {
    const { highestKey } = state;
    if (keys === null || keys.hasNulls || highestKey === null) return false;
    state.highestKey = Math.max(highestKey, keys.high);
    return keys.low > highestKey;
  }

  /** All that the file holds, read at once: a table at a time takes as long for each as there are tables. */
  async #read(): Promise<Stored> {
    const columns = new Map<string, Column[]>();
    const rows = await this.#session.rows(
      'SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns()' +
        ` WHERE database_name = ${literal(this.#session.catalog)} ORDER BY column_index`,
    );
    for (const [schema, table, name, type] of rows) {
      const key = keyOf({ schema: String(schema), table: String(table) });
      const column = { name: String(name), type: String(type) };
      columns.set(key, [...(columns.get(key) ?? []), column]);
    }
    return { columns, notes: await this.#notes.all() };
  }

  /** What a schema asks of a table as it is. Throws what {@link evolve} throws, and conflicts of mode and key. */
  ask(state: TableState, mode: Mode, wanted: Wanted): Evolution {
    const { target, table, dropped, shaped } = state;
    if (table !== null) refuseOtherManner(state, table, { mode, key: wanted.key });
    const stored: Columns = { columns: table?.columns ?? [], dropped };
    const { newest } = wanted;
    // A new table has nothing that a policy could keep as it is.
    const rules = table === null ? { policy: 'evolve' as const, allow: {} } : target.rules;
    return evolve(
      stored,
      wanted.columns.map((column) => ({ name: column.name, type: this.#dialect.typeOf(column) })),
      {
        dialect: this.#dialect,
        rules,
        place: `table ${targetName(target)}`,
        late: table !== null && isAbove(shaped.high, shaped.low, newest),
      },
    );
  }

  /**
   * Makes or changes the table so that it can hold what is wanted. To be called in a transaction that has
   * not changed the table's rows: DuckDB does not commit that.
   */
  async prepare(state: TableState, mode: Mode, wanted: Wanted): Promise<Table> {
    const { target, table: stored } = state;
    const { changes, columns, dropped } = this.ask(state, mode, wanted);
    if (stored !== null && changes.length === 0) return stored;
    if (isAbove(wanted.newest.high, wanted.newest.low, state.shaped)) state.shaped = wanted.newest;
    if (stored === null) return this.#create(state, { mode, columns, key: wanted.key });
    const table: Table = { ...stored, columns };
    for (const change of changes) await this.#alter(table, change);
    // After all of the above: DuckDB does not commit an ALTER of a table whose rows it changed before.
    for (const change of changes) await this.#clear(table, change);
    await fillColumns(this.#session, this.#dialect, { table, changes, wanted: wanted.columns });
    await this.#notes.shape(target, dropped, state.shaped);
    state.dropped = dropped;
    state.setTable(table);
    for (const change of changes) this.#changed(targetName(target), change);
    return table;
  }

  async #alter(table: Table, change: ColumnChange): Promise<void> {
    switch (change.kind) {
      case 'add':
        if (change.revived) return;
        await this.#session.run(this.#dialect.addColumn(table, change.column));
        return;
      case 'rename':
        await this.#session.run(this.#dialect.addColumn(table, change.column));
        return;
      case 'widen':
        await this.#session.run(this.#dialect.alterType(table, change.column));
        return;
      case 'drop':
    }
  }

  /** What a column held before it was dropped is not what it holds when it is back. */
  async #clear(table: Table, change: ColumnChange): Promise<void> {
    if (change.kind !== 'add' || !change.revived || table.mode !== 'merge') return;
    await this.#session.run(this.#dialect.clearColumn(table, change.column.name));
  }

  async #create(
    state: TableState,
    made: { mode: Mode; columns: readonly Column[]; key: readonly string[] },
  ): Promise<Table> {
    const { target } = state;
    const missing = made.key.find((name) => !made.columns.some((column) => column.name === name));
    if (missing !== undefined) {
      throw conflict(
        target,
        `has the key column ${missing}, which is no column of its rows`,
        'key columns that are columns',
      );
    }
    const table: Table = {
      schema: target.schema,
      name: target.table,
      deletes: target.deletes,
      ...made,
    };
    await this.#session.run(this.#dialect.createTable(table));
    await this.#notes.write(target, table);
    await this.#notes.shape(target, [], state.shaped);
    state.setTable(table);
    if (integerKey(table) !== null) state.highestKey = -Infinity;
    return table;
  }

  /** Deletes what a truncate deletes and remembers its version. To be called in a transaction. */
  async truncate(state: TableState, version: Version): Promise<number> {
    await this.noteTruncate(state, version);
    const { table } = state;
    if (table === null) return 0;
    return this.#session.run(this.#dialect.truncate(table, versionNumber(version)));
  }

  /** Remembers the version of a truncate. To be called in a transaction. */
  async noteTruncate(state: TableState, version: Version): Promise<void> {
    await this.#notes.truncate(state.target, version);
    state.truncated = version;
  }

  /**
   * Puts a table that was made beside another into its place. A truncate that only the other has met still
   * holds for what comes late; in a table of changes it is a row that is yet to come. To be called in a
   * transaction. Throws `SINK_TABLE_CONFLICT`.
   */
  async replace(target: Target, made: TableState): Promise<void> {
    const { truncated } = await this.state(target);
    await this.drop(target);
    if (made.table !== null) {
      await this.#session.run(this.#dialect.renameTable(made.table, target.table));
    }
    await this.#notes.move(made.target, target);
    const append = made.table?.mode === 'append';
    if (truncated === null || append) return;
    const newer = made.truncated === null || isAbove(truncated.high, truncated.low, made.truncated);
    if (newer) await this.#notes.truncate(target, truncated);
  }

  /** Drops what was being made when an earlier process ended. */
  async dropUnfinished(): Promise<void> {
    for (const found of await this.#notes.unfinished()) {
      await this.#session.run(this.#dialect.dropTable({ schema: found.schema, name: found.table }));
      await this.#notes.forget(found);
    }
  }

  /** Drops a table that is ours, and what is known of it. Throws `SINK_TABLE_CONFLICT`. */
  async drop(target: Target): Promise<void> {
    this.#states.delete(target.topic);
    this.#stored = null;
    const { table } = await this.state(target);
    if (table !== null) await this.#session.run(this.#dialect.dropTable(table));
    await this.#notes.forget(target);
    this.#states.delete(target.topic);
    this.#stored = null;
  }
}

/** Names of tables do not differ by case in DuckDB. */
function keyOf({ schema, table }: Pick<Target, 'schema' | 'table'>): string {
  return `${schema}\n${table}`.toLowerCase();
}
