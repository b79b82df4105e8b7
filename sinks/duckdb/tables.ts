import type { TopicName } from '../../broker/broker.ts';
import { MillraceError } from '../../errors.ts';
import { Collapse } from '../collapse.ts';
import {
  OWN_COLUMNS,
  type Column,
  type Deletes,
  type Dialect,
  type Mode,
  type Table,
} from '../dialect.ts';
import { evolve } from '../evolution.ts';
import { identifier as id, literal } from '../sql.ts';
import { targetName, type Target } from '../target.ts';
import { VERSION_MIN, versionNumber, versionOf, type Version } from '../version.ts';
import { OWN_SCHEMA } from './dialect.ts';
import type { DuckdbSession } from './session.ts';
import { Stage } from './stage.ts';

/** What the sink knows of a table between writes. */
export class TableState {
  readonly target: Target;
  /** Null until its first row. */
  table: Table | null = null;
  /** Version of the newest truncate: what is older is gone, however late it comes. */
  truncated: Version | null = null;
  /** Nothing in the table is above this unless `highs` has the partition. */
  highStored: Version = VERSION_MIN;
  readonly highs = new Map<number, Version>();
  readonly #stages: { whole?: Stage; partial?: Stage } = {};
  readonly #collapses: Collapse[] = [];

  constructor(target: Target) {
    this.target = target;
  }

  stage(session: DuckdbSession, table: Table, partial: boolean): Stage {
    return (this.#stages[partial ? 'partial' : 'whole'] ??= new Stage(session, table, partial));
  }

  setTable(table: Table): void {
    this.table = table;
    delete this.#stages.whole;
    delete this.#stages.partial;
  }

  /** An empty collapse for each round of a write; they are kept for the next one. */
  collapse(round: number): Collapse {
    const collapse = (this.#collapses[round] ??= new Collapse());
    collapse.reset();
    return collapse;
  }
}

/** What topics say of a table: the columns of all value schemas in a write, and its key's names. */
export interface Wanted {
  readonly columns: readonly (readonly Column[])[];
  readonly key: readonly string[];
}

/**
 * The tables of the sink: made and changed as the topics ask for it, and written down in
 * `_millrace.tables` with the topic, mode and key they were made for.
 */
export class Tables {
  readonly #session: DuckdbSession;
  readonly #dialect: Dialect;
  readonly #states = new Map<TopicName, TableState>();
  readonly #notes: string;

  constructor(session: DuckdbSession, dialect: Dialect) {
    this.#session = session;
    this.#dialect = dialect;
    this.#notes = `${id(session.catalog)}.${id(OWN_SCHEMA)}."tables"`;
  }

  async create(): Promise<void> {
    await this.#session.run(
      `CREATE TABLE IF NOT EXISTS ${this.#notes} (target VARCHAR, topic VARCHAR, mode VARCHAR,` +
        ' deletes VARCHAR, "key" VARCHAR[], truncated BIGINT)',
    );
  }

  get all(): Iterable<TableState> {
    return this.#states.values();
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
    const columns = await this.#columns(target);
    const [note] = await this.#session.rows(
      `SELECT topic, mode, deletes, "key", truncated FROM ${this.#notes} WHERE ${this.#isNoteOf(target)}`,
    );
    if (note === undefined) {
      if (columns !== null) {
        throw conflict(
          target,
          'exists and was not made by Millrace',
          'no table, or one that Millrace made',
        );
      }
      return;
    }
    const [topic, mode, deletes, key, truncated] = note;
    if (topic !== target.topic)
      throw conflict(target, `holds the changes of topic ${String(topic)}`, 'a table of its own');
    if (truncated !== null) state.truncated = versionOf(BigInt(truncated as string));
    if (columns === null || mode === null) return;
    const own = columns.filter(({ name }) => !OWN_COLUMNS.some((own) => own === name));
    state.setTable({
      schema: target.schema,
      name: target.table,
      mode: mode as Mode,
      deletes: deletes as Deletes,
      key: key as string[],
      columns: own,
    });
    await this.#loadHigh(state);
  }

  /** The newest version in the table and its tombstones: a batch above it needs no comparison with them. */
  async #loadHigh(state: TableState): Promise<void> {
    const { table } = state;
    if (table?.mode !== 'merge') return;
    const [row] = await this.#session.rows(this.#dialect.newestVersion(table));
    if (row?.[0]) state.highStored = versionOf(BigInt(row[0] as string));
  }

  async #columns({ schema, table }: Target): Promise<Column[] | null> {
    const rows = await this.#session.rows(
      'SELECT column_name, data_type FROM duckdb_columns()' +
        ` WHERE database_name = ${literal(this.#session.catalog)}` +
        ` AND lower(schema_name) = lower(${literal(schema)}) AND lower(table_name) = lower(${literal(table)})` +
        ' ORDER BY column_index',
    );
    if (rows.length === 0) return null;
    return rows.map(([name, type]) => ({ name: String(name), type: String(type) }));
  }

  /** Makes or changes the table so that it can hold what is wanted. To be called in a transaction. */
  async prepare(state: TableState, mode: Mode, wanted: Wanted): Promise<Table> {
    const { target } = state;
    const place = `table ${targetName(target)}`;
    const stored = state.table;
    if (stored !== null) this.#refuseOtherManner(state, stored, { mode, key: wanted.key });
    let columns: readonly Column[] = stored?.columns ?? [];
    for (const more of wanted.columns) {
      columns = evolve(columns, more, { dialect: this.#dialect, place }).columns;
    }
    const table: Table =
      stored === null
        ? {
            schema: target.schema,
            name: target.table,
            mode,
            deletes: target.deletes,
            key: wanted.key,
            columns,
          }
        : { ...stored, columns };
    if (stored === null) {
      const missing = wanted.key.find((name) => !columns.some((column) => column.name === name));
      if (missing !== undefined) {
        throw conflict(
          target,
          `has the key column ${missing}, which is no column of its rows`,
          'key columns that are columns',
        );
      }
      await this.#session.run(this.#dialect.createTable(table));
      await this.#note(table, target.topic);
    } else {
      const { add, widen } = evolve(stored.columns, columns, { dialect: this.#dialect, place });
      for (const column of add) await this.#session.run(this.#dialect.addColumn(table, column));
      for (const column of widen) await this.#session.run(this.#dialect.alterType(table, column));
      if (add.length + widen.length === 0) return stored;
    }
    state.setTable(table);
    return table;
  }

  #refuseOtherManner(
    { target }: TableState,
    stored: Table,
    now: { mode: Mode; key: readonly string[] },
  ): void {
    if (stored.mode !== now.mode) {
      throw conflict(
        target,
        `was made in mode ${stored.mode} and is now ${now.mode}`,
        `mode ${stored.mode}`,
      );
    }
    if (stored.mode === 'append') return;
    if (stored.deletes !== target.deletes) {
      throw conflict(
        target,
        `was made with delete: ${stored.deletes}`,
        `delete: ${stored.deletes}`,
      );
    }
    if (now.key.length > 0 && now.key.join('\n') !== stored.key.join('\n')) {
      throw conflict(
        target,
        `has the key ${stored.key.join(', ')} and the topic now has ${now.key.join(', ')}`,
        'the same key',
      );
    }
  }

  async #note(table: Table, topic: TopicName): Promise<void> {
    const target = { schema: table.schema, table: table.name };
    const key = table.key.map(literal).join(', ');
    await this.#session.run(
      `INSERT INTO ${this.#notes} SELECT ${literal(noteName(target))}, ${literal(topic)}, NULL, NULL, NULL, NULL` +
        ` WHERE NOT EXISTS (SELECT 1 FROM ${this.#notes} WHERE ${this.#isNoteOf(target)});` +
        ` UPDATE ${this.#notes} SET mode = ${literal(table.mode)}, deletes = ${literal(table.deletes)},` +
        ` "key" = [${key}]::VARCHAR[] WHERE ${this.#isNoteOf(target)}`,
    );
  }

  /** Deletes what a truncate deletes and remembers its version. To be called in a transaction. */
  async truncate(state: TableState, version: Version): Promise<number> {
    const { target, table } = state;
    const number = versionNumber(version);
    await this.#session.run(
      `INSERT INTO ${this.#notes} SELECT ${literal(noteName(target))}, ${literal(target.topic)}, NULL, NULL, NULL, NULL` +
        ` WHERE NOT EXISTS (SELECT 1 FROM ${this.#notes} WHERE ${this.#isNoteOf(target)});` +
        ` UPDATE ${this.#notes} SET truncated = ${number} WHERE ${this.#isNoteOf(target)}`,
    );
    state.truncated = version;
    return table === null ? 0 : this.#session.run(this.#dialect.truncate(table, number));
  }

  #isNoteOf(target: Pick<Target, 'schema' | 'table'>): string {
    return `target = ${literal(noteName(target))}`;
  }
}

function noteName(target: Pick<Target, 'schema' | 'table'>): string {
  return targetName(target).toLowerCase();
}

function conflict(target: Target, what: string, expected: string): MillraceError {
  return new MillraceError('SINK_TABLE_CONFLICT', `the table ${targetName(target)} ${what}`, {
    place: `topic ${target.topic}`,
    expected,
  });
}
