import {
  offset,
  type Offset,
  type RecordBatch,
  type TopicName,
  type TopicPartition,
} from '../../broker/broker.ts';
import { MillraceError } from '../../errors.ts';
import type { SchemaRegistry } from '../../schemas/registry.ts';
import { mergeStatements } from '../apply.ts';
import { gather, survey, type Fresh, type Source, type TableChanges } from '../changes.ts';
import type { Column, Dialect, Mode, Table } from '../dialect.ts';
import { Ledger, type Advance, type Assignment } from '../ledger.ts';
import type { Written } from '../sink.ts';
import { identifier as id } from '../sql.ts';
import type { Targets } from '../target.ts';
import { TopicSchemas } from '../topic-schemas.ts';
import { isAbove } from '../version.ts';
import { stageRecords } from './append-stage.ts';
import { duckdbDialect, OWN_SCHEMA } from './dialect.ts';
import { stageRound } from './merge-stage.ts';
import type { DuckdbSession } from './session.ts';
import { Tables, type TableState } from './tables.ts';

export interface WriterParts {
  readonly targets: Targets;
  readonly registry: SchemaRegistry;
  readonly pipeline: string;
  readonly now: () => number;
  readonly tombstoneRetentionMs: number;
}

interface TableWork {
  readonly state: TableState;
  readonly changes: TableChanges;
  readonly mode: Mode;
}

/**
 * Applies batches, each write in one transaction with the ledger. After a failed write its state and the
 * database's may differ, so a new one has to be made.
 */
export class Writer {
  readonly #session: DuckdbSession;
  readonly #parts: WriterParts;
  readonly #dialect: Dialect;
  readonly #ledger: Ledger;
  readonly #tables: Tables;
  readonly #schemas: TopicSchemas;
  readonly #assignments = new Map<string, Assignment>();

  private constructor(session: DuckdbSession, parts: WriterParts) {
    this.#session = session;
    this.#parts = parts;
    this.#dialect = duckdbDialect(session.catalog);
    const ledger = `${id(session.catalog)}.${id(OWN_SCHEMA)}."offsets"`;
    this.#ledger = new Ledger(session, ledger, parts.pipeline);
    this.#tables = new Tables(session, this.#dialect);
    this.#schemas = new TopicSchemas(parts.registry);
  }

  static async create(session: DuckdbSession, parts: WriterParts): Promise<Writer> {
    const writer = new Writer(session, parts);
    await session.run(`CREATE SCHEMA IF NOT EXISTS ${id(session.catalog)}.${id(OWN_SCHEMA)}`);
    await writer.#ledger.create();
    await writer.#tables.create();
    return writer;
  }

  async takeOver(
    partitions: readonly TopicPartition[],
  ): Promise<readonly (TopicPartition & { readonly next: Offset })[]> {
    if (partitions.length === 0) return [];
    const taken = await this.#inTransaction(() => this.#ledger.takeOver(partitions));
    for (const assignment of taken) this.#assignments.set(keyOf(assignment), assignment);
    return taken.flatMap(({ topic, partition, next }) =>
      next === null ? [] : [{ topic, partition, next }],
    );
  }

  async write(batches: readonly RecordBatch[]): Promise<Written> {
    const advances: Advance[] = [];
    const fresh = batches.flatMap((batch) => this.#fresh(batch, advances));
    if (fresh.length === 0) return { changes: 0, rows: 0, committedAt: null };
    const byTopic = new Map<TopicName, TableChanges>();
    const sources = survey(fresh, byTopic);
    const work = await this.#sort(sources, byTopic);
    const written = await this.#inTransaction(async () => {
      const tables = new Map<TableWork, Table | null>();
      for (const item of work) tables.set(item, await this.#prepare(item));
      let rows = 0;
      let committedAt = 0;
      for (const [item, table] of tables) {
        if (item.changes.truncated !== null) rows += await this.#truncate(item);
        if (table === null) continue;
        const done = await this.#apply(item, table, sources);
        rows += done.rows;
        committedAt = Math.max(committedAt, done.committedAt);
      }
      await this.#ledger.advance(advances); // I5: rows and offsets in one transaction.
      const changes = work.reduce((sum, item) => sum + item.changes.events, 0);
      return { changes, rows, committedAt: committedAt === 0 ? null : committedAt };
    });
    this.#remember(advances, work);
    return written;
  }

  /** To be called when nothing is to be done: forgets old tombstones and writes a checkpoint. */
  async rest(): Promise<void> {
    const before = this.#parts.now() - this.#parts.tombstoneRetentionMs;
    for (const { table } of this.#tables.all) {
      if (table?.mode === 'merge' && table.deletes === 'hard') {
        await this.#session.run(this.#dialect.exhume(table, before));
      }
    }
    await this.#session.run(`CHECKPOINT ${id(this.#session.catalog)}`);
  }

  /**
   * What of a batch the ledger does not have. Offsets below it were written before and are left out, record
   * by record. Offsets above it are accepted: brokers leave gaps (compaction, transaction markers), and
   * that the next offset to read still exists is the broker's promise (`OFFSET_OUT_OF_RANGE`).
   */
  #fresh(batch: RecordBatch, advances: Advance[]): Fresh[] {
    const assignment = this.#assignments.get(keyOf(batch));
    if (assignment === undefined) {
      throw new MillraceError(
        'SINK_FENCED',
        'a partition was written that this worker has not taken over',
        {
          place: keyOf(batch),
        },
      );
    }
    const to = batch.consumed.next;
    const at = advances.findIndex((other) => keyOf(other) === keyOf(batch));
    const reached = advances[at]?.to ?? assignment.next ?? offset(0);
    if (to <= reached) return [];
    if (at < 0) advances.push({ ...assignment, to });
    else advances[at] = { ...assignment, to };
    return [{ batch, from: reached }];
  }

  async #sort(
    sources: readonly Source[],
    byTopic: ReadonlyMap<TopicName, TableChanges>,
  ): Promise<readonly TableWork[]> {
    const work: TableWork[] = [];
    for (const changes of byTopic.values()) {
      await this.#schemas.resolve(changes.valueSchemas);
      await this.#schemas.resolve(changes.keySchemas);
      const state = await this.#tables.state(this.#parts.targets.of(changes.topic));
      work.push({ state, changes, mode: modeOf(state, changes) });
    }
    const found = new Map(work.map((item) => [item.changes.topic, item]));
    gather(sources, byTopic, {
      schemas: this.#schemas,
      manner: (topic) => {
        const item = found.get(topic);
        if (item === undefined) throw new Error(`topic ${topic} was not sorted`);
        const { state, mode, changes } = item;
        return {
          mode,
          deletes: state.table?.deletes ?? state.target.deletes,
          high: (partition) => state.highs.get(partition) ?? state.highStored,
          collapse: () => state.collapse(changes.rounds.length),
        };
      },
    });
    return work;
  }

  /** Null if there is no table and no row for one. */
  async #prepare({ state, changes, mode }: TableWork): Promise<Table | null> {
    if (changes.rounds.length === 0 && changes.records.length === 0) return null;
    const columnsOf = (id: number): Column[] =>
      this.#schemas
        .envelope(id)
        .columns.map((column) => ({ name: column.name, type: this.#dialect.typeOf(column) }));
    const [key] = [...changes.keySchemas];
    return this.#tables.prepare(state, mode, {
      columns: [...changes.valueSchemas].map(columnsOf),
      key:
        mode === 'append' || key === undefined
          ? []
          : this.#schemas.keyColumns(key).map(({ name }) => name),
    });
  }

  async #truncate({ state, changes, mode }: TableWork): Promise<number> {
    const { truncated } = changes;
    if (truncated === null || mode === 'append') return 0;
    if (state.truncated !== null && !isAbove(truncated.high, truncated.low, state.truncated))
      return 0;
    return this.#tables.truncate(state, truncated);
  }

  async #apply(
    { state, changes }: TableWork,
    table: Table,
    sources: readonly Source[],
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
      const now = this.#parts.now();
      const steps = mergeStatements(this.#dialect, table, { guarded, partial, deletes, now });
      rows += stage.rows;
      for (const step of steps.prepare) {
        const dropped = await this.#session.run(step.sql);
        if (step.drops) rows -= dropped;
      }
      if (stage.rows > 0) await this.#session.run(steps.apply.join(';\n'));
    }
    return { rows, committedAt };
  }

  #remember(advances: readonly Advance[], work: readonly TableWork[]): void {
    for (const { to, ...assignment } of advances) {
      this.#assignments.set(keyOf(assignment), { ...assignment, next: to });
    }
    for (const { state, changes } of work) {
      for (const [partition, newest] of changes.newest) {
        const high = state.highs.get(partition) ?? state.highStored;
        if (isAbove(newest.high, newest.low, high)) state.highs.set(partition, newest);
      }
    }
  }

  async #inTransaction<T>(work: () => Promise<T>): Promise<T> {
    await this.#session.run('BEGIN TRANSACTION');
    let result: T;
    try {
      result = await work();
      await this.#session.run('COMMIT');
    } catch (error) {
      // What failed is told; that there may be no transaction left to roll back is not news.
      await this.#session.run('ROLLBACK').catch(() => undefined);
      throw error;
    }
    return result;
  }
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`;
}

/** A table without a key appends, whatever was configured: there is nothing to merge on. */
function modeOf(state: TableState, changes: TableChanges): Mode {
  if (state.table !== null && changes.keySchemas.size === 0) return state.table.mode;
  if (state.target.mode === 'append') return 'append';
  return changes.keySchemas.size === 0 && changes.keyless ? 'append' : 'merge';
}
