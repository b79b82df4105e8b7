import type duckdb from '@duckdb/node-bindings';
import type { Table } from '../dialect.ts';
import type { TopicSchemas } from '../topic-schemas.ts';
import { stageColumns, stageName } from './dialect.ts';
import { KeySpan } from './key-span.ts';
import { RowPlan } from './row-plan.ts';
import type { DuckdbSession } from './session.ts';
import { CHUNK_ROWS, vectorOf, type ColumnVector } from './vector.ts';

/**
 * A temporary table being filled: rows are written into vectors, and every {@link CHUNK_ROWS} of them go
 * to DuckDB at once. Kept from batch to batch as long as the table's columns stay; only the table in
 * DuckDB is made anew.
 */
export class Stage {
  readonly table: Table;
  readonly partial: boolean;
  /** The table's columns, then ours. */
  readonly vectors: readonly ColumnVector[];
  /** Of the batch, where the table's key is one integer. */
  readonly keys: KeySpan | null;
  /** The row to be written next. */
  row = 0;
  rows = 0;
  readonly #session: DuckdbSession;
  readonly #rowPlans = new Map<number, RowPlan>();
  readonly #keyPlans = new Map<number, RowPlan>();
  #appender: duckdb.Appender | undefined;
  #chunk: duckdb.DataChunk | undefined;

  constructor(session: DuckdbSession, table: Table, partial: boolean) {
    this.#session = session;
    this.table = table;
    this.partial = partial;
    this.vectors = stageColumns(table, partial).map(({ type }) => vectorOf(session.bindings, type));
    this.keys = KeySpan.of(table, this.vectors);
  }

  /** The vector of one of our columns. */
  own(name: string): ColumnVector {
    const at = stageColumns(this.table, this.partial).findIndex((column) => column.name === name);
    const vector = this.vectors[at];
    if (vector === undefined) throw new Error(`a stage of ${this.table.name} has no ${name}`);
    return vector;
  }

  rowPlan(schemas: TopicSchemas, id: number): RowPlan {
    let plan = this.#rowPlans.get(id);
    if (plan === undefined) {
      plan = new RowPlan(schemas.envelope(id).columns, this.table.columns, this.vectors);
      this.#rowPlans.set(id, plan);
    }
    return plan;
  }

  keyPlan(schemas: TopicSchemas, id: number): RowPlan {
    let plan = this.#keyPlans.get(id);
    if (plan === undefined) {
      plan = new RowPlan(schemas.keyColumns(id), this.table.columns, this.vectors);
      this.#keyPlans.set(id, plan);
    }
    return plan;
  }

  /** Begins a batch; the temporary table exists and is empty. */
  begin(): void {
    const { bindings, connection } = this.#session;
    const appender = bindings.appender_create_ext(
      connection,
      'temp',
      'main',
      stageName(this.table),
    );
    this.#appender = appender;
    this.#chunk ??= bindings.create_data_chunk(
      this.vectors.map((_, column) => bindings.appender_column_type(appender, column)),
    );
    this.row = 0;
    this.rows = 0;
    this.keys?.reset();
  }

  endRow(): void {
    this.rows++;
    if (++this.row === CHUNK_ROWS) this.#flush();
  }

  /** Ends the batch: all its rows are in the temporary table. */
  end(): void {
    if (this.row > 0) this.#flush();
    const appender = this.#appender;
    this.#appender = undefined;
    if (appender !== undefined) this.#session.bindings.appender_close_sync(appender);
  }

  /** Lets go of a batch that failed; its transaction is to be rolled back. */
  abandon(): void {
    const appender = this.#appender;
    this.#appender = undefined;
    try {
      if (appender !== undefined) this.#session.bindings.appender_close_sync(appender);
    } catch {
      // What it could not bring into the temporary table would have been rolled back.
    }
  }

  #flush(): void {
    const { bindings } = this.#session;
    const { vectors, row } = this;
    if (this.#chunk === undefined || this.#appender === undefined)
      throw new Error('the stage was not begun');
    const chunk = this.#chunk;
    this.keys?.add(row);
    for (let column = 0; column < vectors.length; column++) {
      (vectors[column] as ColumnVector).flush(bindings.data_chunk_get_vector(chunk, column), row);
    }
    bindings.data_chunk_set_size(chunk, row);
    bindings.append_data_chunk(this.#appender, chunk);
    bindings.data_chunk_reset(chunk);
    this.row = 0;
  }
}
