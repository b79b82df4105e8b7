import type { TopicName } from '../../broker/broker.ts';
import { mergeStatements } from '../apply.ts';
import { gather, TableChanges, type Source } from '../changes.ts';
import type { Dialect, Mode, Table } from '../dialect.ts';
import type { Run } from '../runs.ts';
import type { Written } from '../sink.ts';
import type { Targets } from '../target.ts';
import type { TopicSchemas } from '../topic-schemas.ts';
import { isAbove } from '../version.ts';
import { stageRecords } from './append-stage.ts';
import { stageRound } from './merge-stage.ts';
import type { DuckdbSession } from './session.ts';
import type { TableState } from './table-state.ts';
import type { Tables } from './tables.ts';

export interface TableWork {
  readonly state: TableState;
  readonly changes: TableChanges;
  readonly mode: Mode;
  readonly sources: readonly Source[];
}

export type Counts = Omit<Written, 'refused'>;

export interface TableWriterParts {
  readonly session: DuckdbSession;
  readonly dialect: Dialect;
  readonly tables: Tables;
  readonly schemas: TopicSchemas;
  readonly targets: Pick<Targets, 'of'>;
  readonly now: () => number;
}

/** Brings the changes of one table, of one value schema, into it. To be used in a transaction. */
export class TableWriter {
  readonly #session: DuckdbSession;
  readonly #dialect: Dialect;
  readonly #tables: Tables;
  readonly #schemas: TopicSchemas;
  readonly #targets: Pick<Targets, 'of'>;
  readonly #now: () => number;

  constructor(parts: TableWriterParts) {
    this.#session = parts.session;
    this.#dialect = parts.dialect;
    this.#tables = parts.tables;
    this.#schemas = parts.schemas;
    this.#targets = parts.targets;
    this.#now = parts.now;
  }

  async sort(topic: TopicName, runs: readonly Run[]): Promise<TableWork> {
    const changes = new TableChanges(topic);
    for (const { valueSchema, keySchemas, keyless } of runs) {
      changes.valueSchema ??= valueSchema;
      for (const id of keySchemas) changes.keySchemas.add(id);
      changes.keyless ||= keyless;
    }
    await this.#schemas.resolve(changes.keySchemas);
    if (changes.valueSchema !== null) await this.#schemas.resolve([changes.valueSchema]);
    const sources = runs.flatMap((run) => run.sources);
    const state = await this.#tables.state(this.#targets.of(topic));
    const mode = modeOf(state, changes);
    gather(sources, changes, {
      schemas: this.#schemas,
      manner: {
        mode,
        deletes: state.table?.deletes ?? state.target.deletes,
        truncated: state.truncated,
        high: (partition) => state.highs.get(partition) ?? state.highStored,
        collapse: () => state.collapse(changes.rounds.length),
      },
    });
    return { state, changes, mode, sources };
  }

  async apply(work: TableWork): Promise<Counts> {
    const { changes } = work;
    const table = await this.#prepare(work);
    const truncated = await this.#truncate(work);
    const { rows, committedAt } =
      table === null ? { rows: 0, committedAt: 0 } : await this.#applyRows(work, table);
    return {
      changes: changes.events,
      rows: rows + truncated,
      committedAt: committedAt === 0 ? null : committedAt,
    };
  }

  /** Null if there is no table and no row for one. */
  async #prepare({ state, changes, mode }: TableWork): Promise<Table | null> {
    if (changes.rounds.length === 0 && changes.records.length === 0) return null;
    const [key] = [...changes.keySchemas];
    const { valueSchema } = changes;
    // Tombstones alone say nothing of columns.
    if (valueSchema === null) return state.table;
    return this.#tables.prepare(state, mode, {
      columns: this.#schemas.envelope(valueSchema).columns,
      key:
        mode === 'append' || key === undefined
          ? []
          : this.#schemas.keyColumns(key).map(({ name }) => name),
      newest: changes.newestOfAll(),
    });
  }

  async #truncate({ state, changes, mode }: TableWork): Promise<number> {
    const { truncated } = changes;
    if (truncated === null) return 0;
    if (mode === 'append') {
      await this.#tables.noteTruncate(state, truncated);
      return 0;
    }
    if (state.truncated !== null && !isAbove(truncated.high, truncated.low, state.truncated))
      return 0;
    return this.#tables.truncate(state, truncated);
  }

  async #applyRows(
    { state, changes, sources }: TableWork,
    table: Table,
  ): Promise<{ rows: number; committedAt: number }> {
    const schemas = this.#schemas;
    let rows = 0;
    let committedAt = 0;
    if (table.mode === 'append') {
      const stage = state.stage(this.#session, table, false);
      await this.#session.run(this.#dialect.createStage(table, false));
      stage.begin();
      committedAt = stageRecords(stage, { sources, records: changes.records, schemas });
      stage.end();
      rows = await this.#session.run(this.#dialect.appendStaged(table));
    }
    for (const round of changes.rounds) {
      const partial = round.collapse.chains.size > 0;
      const stage = state.stage(this.#session, table, partial);
      await this.#session.run(this.#dialect.createStage(table, partial));
      stage.begin();
      const newest = stageRound(stage, round, { sources, schemas, truncated: state.truncated });
      stage.end();
      committedAt = Math.max(committedAt, newest);
      const { guarded } = changes;
      const { deletes } = round;
      const now = this.#now();
      const areNew = this.#tables.areNew(state, stage);
      const batch = { guarded, areNew, partial, deletes, now };
      const steps = mergeStatements(this.#dialect, table, batch);
      rows += stage.rows;
      for (const step of steps.prepare) {
        const dropped = await this.#session.run(step.sql);
        if (step.drops) rows -= dropped;
      }
      if (stage.rows > 0) await this.#session.run(steps.apply.join(';\n'));
    }
    return { rows, committedAt };
  }
}

/** A table without a key appends, whatever was configured: there is nothing to merge on. */
function modeOf(state: TableState, changes: TableChanges): Mode {
  if (state.table !== null && changes.keySchemas.size === 0) return state.table.mode;
  if (state.target.mode === 'append') return 'append';
  return changes.keySchemas.size === 0 && changes.keyless ? 'append' : 'merge';
}
