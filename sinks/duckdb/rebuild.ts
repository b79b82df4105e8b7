import type { Offset, ReadBatch, TopicName } from '../../broker/broker.ts';
import { RecordCursor } from '../../broker/records.ts';
import { MillraceError } from '../../errors.ts';
import { DELETE, UNCHANGED } from '../changes.ts';
import type { Dialect, Table } from '../dialect.ts';
import { refusable, Refusal } from '../refusal.ts';
import { endOf, runsOf, stepsOf } from '../runs.ts';
import type { RebuildFrom } from '../sink.ts';
import type { Target } from '../target.ts';
import type { TopicSchemas } from '../topic-schemas.ts';
import type { DuckdbSession } from './session.ts';
import { REBUILT_PREFIX } from './table-notes.ts';
import { TableWriter } from './table-writer.ts';
import { Tables } from './tables.ts';

export interface RebuildParts {
  readonly session: DuckdbSession;
  readonly dialect: Dialect;
  readonly schemas: TopicSchemas;
  readonly now: () => number;
  /** Runs work in a transaction of its own. */
  readonly transaction: <T>(work: () => Promise<T>) => Promise<T>;
}

/**
 * A table made anew beside the one in place, under a name of its own: what is in place stays as it is, and
 * goes on, until the other takes its place. What a crash leaves of it is dropped at the next start.
 */
export class TableRebuild {
  readonly target: Target;
  readonly #parts: RebuildParts;
  readonly #beside: Target;
  readonly #tables: Tables;
  readonly #writer: TableWriter;

  constructor(parts: RebuildParts, target: Target) {
    this.#parts = parts;
    this.target = target;
    this.#beside = { ...target, table: `${REBUILT_PREFIX}${target.table}` };
    this.#tables = new Tables(parts.session, parts.dialect);
    const targets = { of: () => this.#beside };
    this.#writer = new TableWriter({ ...parts, tables: this.#tables, targets });
  }

  /** Throws why the table does not take a change: it then has to be given up. */
  async write(batches: readonly ReadBatch[]): Promise<void> {
    const { topic } = this.target;
    for (const batch of batches) if (batch.topic !== topic) refusePartial(batch);
    try {
      const queues = await refusable(topic, () =>
        batches.map((batch) => runsOf({ batch, from: 0 as Offset, to: endOf(batch) })),
      );
      for (const step of stepsOf(queues)) {
        await this.#parts.transaction(async () => {
          const work = await refusable(topic, () => this.#writer.sort(topic, step));
          await refusable(topic, () => this.#writer.apply(work));
        });
      }
    } catch (error) {
      throw error instanceof Refusal ? error.cause : error;
    }
  }

  /** Puts it into the place of the table that `tables` knows. To be called in a transaction. */
  async replace(tables: Tables): Promise<void> {
    await tables.replace(this.target, await this.#tables.state(this.#beside));
  }

  async drop(): Promise<void> {
    this.#tables.forget();
    await this.#parts.transaction(() => this.#tables.drop(this.#beside));
  }
}

/** Throws `REBUILD_REFUSED` where `.latest` cannot say what the table holds. */
export function checkRebuild(
  target: Target,
  { from, stored }: { readonly from: RebuildFrom; readonly stored: Table | null },
): void {
  if (from === 'changes') return;
  const append = target.mode === 'append' || stored?.mode === 'append';
  if (!append && target.deletes === 'hard') return;
  throw refused(
    target.topic,
    append ? 'a table of changes holds more than the newest rows' : 'it keeps deleted rows',
  );
}

/** A row whose missing columns nobody knew when it was published: the table may know them. */
function refusePartial({ topic, partition, segments }: ReadBatch): void {
  for (const { base, bytes } of segments) {
    const cursor = new RecordCursor(bytes);
    while (cursor.next()) {
      if (cursor.headerCount === 0 || cursor.op === DELETE) continue;
      if (cursor.header(UNCHANGED) === undefined) continue;
      const place = `${topic}-${partition} offset ${base + cursor.delta}`;
      throw refused(topic, 'a row came without all its columns', place);
    }
  }
}

function refused(topic: TopicName, why: string, place = `topic ${topic}`): MillraceError {
  return new MillraceError('REBUILD_REFUSED', `the table cannot be made from \`.latest\`: ${why}`, {
    place,
    expected: 'mode merge, delete: hard, and rows with all their columns',
  });
}
