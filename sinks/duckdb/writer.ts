import {
  type Offset,
  type RecordBatch,
  type TopicName,
  type TopicPartition,
} from '../../broker/broker.ts';
import { MillraceError, parksTable } from '../../errors.ts';
import type { SchemaRegistry } from '../../schemas/registry.ts';
import type { Dialect } from '../dialect.ts';
import { Assignments, partitionName } from '../assignments.ts';
import { Ledger, type Advance } from '../ledger.ts';
import { ParkedTables } from '../parked.ts';
import { refusable, Refusal } from '../refusal.ts';
import { placedIn, runsOf, stepsOf, type Run } from '../runs.ts';
import type { ParkedTable, PartitionStart, RebuildFrom, Written } from '../sink.ts';
import { identifier as id } from '../sql.ts';
import { targetName, type Targets } from '../target.ts';
import { TopicSchemas } from '../topic-schemas.ts';
import { isAbove } from '../version.ts';
import { duckdbDialect, OWN_SCHEMA } from './dialect.ts';
import type { DuckdbSession } from './session.ts';
import { checkRebuild, TableRebuild } from './rebuild.ts';
import { TableWriter, type Counts, type TableWork } from './table-writer.ts';
import { Tables, type Changed } from './tables.ts';

export interface WriterParts {
  readonly targets: Targets;
  readonly registry: SchemaRegistry;
  readonly pipeline: string;
  readonly now: () => number;
  readonly tombstoneRetentionMs: number;
  readonly changed: Changed;
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
  readonly #writer: TableWriter;
  readonly #parkedTables: ParkedTables;
  readonly #schemas: TopicSchemas;
  #parked = new Map<TopicName, ParkedTable>();
  readonly #rebuilt = new Set<TopicName>();
  readonly #assignments = new Assignments();

  private constructor(session: DuckdbSession, parts: WriterParts) {
    this.#session = session;
    this.#parts = parts;
    this.#dialect = duckdbDialect(session.catalog);
    const { pipeline } = parts;
    const own = `${id(session.catalog)}.${id(OWN_SCHEMA)}`;
    this.#ledger = new Ledger(session, `${own}."offsets"`, pipeline);
    const table = `${own}."parked"`;
    this.#parkedTables = new ParkedTables(session, { table, pipeline, ledger: this.#ledger });
    this.#schemas = new TopicSchemas(parts.registry);
    this.#tables = new Tables(session, this.#dialect, parts.changed);
    this.#writer = new TableWriter({
      ...parts,
      session,
      dialect: this.#dialect,
      tables: this.#tables,
      schemas: this.#schemas,
    });
  }

  static async create(session: DuckdbSession, parts: WriterParts): Promise<Writer> {
    const writer = new Writer(session, parts);
    await session.run(`CREATE SCHEMA IF NOT EXISTS ${id(session.catalog)}.${id(OWN_SCHEMA)}`);
    await writer.#ledger.create();
    await writer.#tables.create();
    await writer.#parkedTables.create();
    await writer.#inTransaction(() => writer.#tables.dropUnfinished());
    await writer.#loadParked();
    return writer;
  }

  async takeOver(
    partitions: readonly TopicPartition[],
  ): Promise<readonly (TopicPartition & { readonly next: Offset })[]> {
    if (partitions.length === 0) return [];
    const taken = await this.#inTransaction(() => this.#ledger.takeOver(partitions));
    this.#assignments.take(taken);
    return taken.flatMap(({ topic, partition, next }) =>
      next === null ? [] : [{ topic, partition, next }],
    );
  }

  async write(batches: readonly RecordBatch[]): Promise<Written> {
    const refused = new Map<TopicName, ParkedTable>();
    const queues = await this.#queues(batches, refused);
    let done = { changes: 0, rows: 0, committedAt: null as number | null };
    for (const step of stepsOf(queues)) done = sum(done, await this.#step(step, refused));
    return { ...done, refused: [...refused.values()] };
  }

  /** The runs of each partition, in their order, but for those of tables that are parked. */
  async #queues(
    batches: readonly RecordBatch[],
    refused: Map<TopicName, ParkedTable>,
  ): Promise<Run[][]> {
    const queues = new Map<string, Run[]>();
    const reached = new Map<string, Offset>();
    for (const batch of batches) {
      const parked = this.#parked.get(batch.topic);
      if (parked !== undefined) refused.set(batch.topic, parked);
      const fresh = this.#assignments.fresh(batch, reached);
      if (parked !== undefined || fresh === null) continue;
      const key = partitionName(batch);
      try {
        const runs = await refusable(batch.topic, () => runsOf(fresh));
        queues.set(key, [...(queues.get(key) ?? []), ...runs]);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        refused.set(batch.topic, await this.#park(error));
      }
    }
    return [...queues.values()].map((runs) => runs.filter(({ topic }) => !refused.has(topic)));
  }

  /** Writes what has one schema per topic; tables that refuse it are parked, and the others written. */
  async #step(step: readonly Run[], refused: Map<TopicName, ParkedTable>): Promise<Counts> {
    for (;;) {
      const runs = step.filter(({ topic }) => !refused.has(topic));
      if (runs.length === 0) return { changes: 0, rows: 0, committedAt: null };
      try {
        return await this.#transact(runs);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        // I4, I7: nothing of the step is written; without the table that refused it, all of it can be.
        refused.set(error.topic, await this.#park(error));
      }
    }
  }

  async #transact(runs: readonly Run[]): Promise<Counts> {
    const advances = this.#assignments.advances(runs);
    const work: TableWork[] = [];
    const written = await this.#inTransaction(async () => {
      let done: Counts = { changes: 0, rows: 0, committedAt: null };
      for (const [topic, own] of Map.groupBy(runs, (run) => run.topic)) {
        done = await refusable(topic, async () => {
          try {
            const item = await this.#writer.sort(topic, own);
            work.push(item);
            return sum(done, await this.#writer.apply(item));
          } catch (error) {
            throw placedIn(own, error);
          }
        });
      }
      await this.#ledger.advance(advances); // I5: rows and offsets in one transaction.
      return done;
    });
    this.#remember(advances, work);
    return written;
  }

  /** Durable before anything is said of it. The place for a queue of dead letters by key is here. */
  async #park({ topic, cause }: Refusal): Promise<ParkedTable> {
    if (!parksTable(cause)) throw new TypeError('a table is parked for its own errors only');
    this.#tables.forget();
    const name = this.#nameOf(topic);
    await this.#inTransaction(() =>
      this.#parkedTables.park({ topic, name }, cause, this.#parts.now()),
    );
    await this.#loadParked();
    const parked = this.#parked.get(topic);
    if (parked === undefined) throw new Error(`${topic} was parked and is not`);
    return parked;
  }

  #nameOf(topic: TopicName): string {
    try {
      return targetName(this.#parts.targets.of(topic));
    } catch {
      return topic; // Its target is what is wrong with it.
    }
  }

  async #loadParked(): Promise<void> {
    this.#parked = new Map((await this.#parkedTables.all()).map((table) => [table.topic, table]));
  }

  get parked(): readonly ParkedTable[] {
    return [...this.#parked.values()];
  }

  async resume(topic: TopicName): Promise<void> {
    await this.#inTransaction(() => this.#parkedTables.resume(topic));
    this.#parked.delete(topic);
  }

  async rebuild(topic: TopicName, from: RebuildFrom): Promise<TableRebuild> {
    const target = this.#parts.targets.of(topic);
    checkRebuild(target, { from, stored: (await this.#tables.state(target)).table });
    if (this.#rebuilt.has(topic)) {
      throw new MillraceError('REBUILD_REFUSED', 'the table is being rebuilt already', {
        place: `table ${targetName(target)}`,
        remedy: 'Wait until it is done: see `millrace status`.',
      });
    }
    this.#rebuilt.add(topic);
    const { now } = this.#parts;
    const parts = { session: this.#session, dialect: this.#dialect, schemas: this.#schemas, now };
    const transaction = <T>(work: () => Promise<T>): Promise<T> => this.#inTransaction(work);
    return new TableRebuild({ ...parts, transaction }, target);
  }

  /** Puts a table that was made anew into its place, with the offsets where it goes on. */
  async replace(rebuild: TableRebuild, starts: readonly PartitionStart[]): Promise<void> {
    const { topic } = rebuild.target;
    await this.#inTransaction(async () => {
      await rebuild.replace(this.#tables);
      await this.#parkedTables.resume(topic);
      // Who writes there now is fenced, and has to open the partitions again.
      await this.#ledger.takeOver(starts.map(({ partition }) => ({ topic, partition })));
      await this.#ledger.reset(topic, starts);
    });
    this.#rebuilt.delete(topic);
    this.#parked.delete(topic);
    this.#assignments.release(topic, starts);
  }

  async abandon(rebuild: TableRebuild): Promise<void> {
    if (this.#rebuilt.delete(rebuild.target.topic)) await rebuild.drop();
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

  #remember(advances: readonly Advance[], work: readonly TableWork[]): void {
    this.#assignments.moved(advances);
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

function sum(one: Counts, other: Counts): Counts {
  const newest = Math.max(one.committedAt ?? 0, other.committedAt ?? 0);
  return {
    changes: one.changes + other.changes,
    rows: one.rows + other.rows,
    committedAt: newest === 0 ? null : newest,
  };
}
