import { offset, type Offset, type TopicName, type TopicPartition } from '../broker/broker.ts';
import { MillraceError } from '../errors.ts';
import { literal } from './sql.ts';
import type { Session } from './session.ts';
import type { PartitionStart } from './sink.ts';

/** A partition that this worker has taken over. */
export interface Assignment extends TopicPartition {
  readonly epoch: number;
  /** Where the sink goes on; null if it has nothing of this partition. */
  readonly next: Offset | null;
}

/** A step of a partition from the offset that the ledger has to the one it shall have. */
export interface Advance extends Assignment {
  readonly to: Offset;
  /** Changes that the step brings. */
  readonly changes: number;
}

/**
 * How far each partition has been written, in a table beside the rows and moved in the same transaction
 * (I5). `epoch` counts takeovers: a transaction of an older one changes no row of the ledger, and fails.
 */
export class Ledger {
  readonly #session: Session;
  readonly #table: string;
  readonly #pipeline: string;

  constructor(session: Session, table: string, pipeline: string) {
    this.#session = session;
    this.#table = table;
    this.#pipeline = pipeline;
  }

  async create(): Promise<void> {
    await this.#session.run(
      `CREATE TABLE IF NOT EXISTS ${this.#table} (pipeline VARCHAR, topic VARCHAR,` +
        ` "partition" INTEGER, next_offset BIGINT, epoch BIGINT, changes BIGINT);` +
        // A file from before changes were counted: every offset was one.
        ` ALTER TABLE ${this.#table} ADD COLUMN IF NOT EXISTS changes BIGINT;` +
        ` UPDATE ${this.#table} SET changes = coalesce(next_offset, 0) WHERE changes IS NULL`,
    );
  }

  /** Takes partitions over. To be called in a transaction. */
  async takeOver(partitions: readonly TopicPartition[]): Promise<Assignment[]> {
    const wanted = partitions
      .map(({ topic, partition }) => `(${literal(topic)}, ${partition})`)
      .join(', ');
    const same = `l.pipeline = ${literal(this.#pipeline)} AND l.topic = v.topic AND l."partition" = v.p`;
    const values = `(VALUES ${wanted}) AS v(topic, p)`;
    await this.#session.run(
      `INSERT INTO ${this.#table} (pipeline, topic, "partition", next_offset, epoch, changes)` +
        ` SELECT ${literal(this.#pipeline)}, v.topic, v.p, NULL, 0, 0 FROM ${values}` +
        ` WHERE NOT EXISTS (SELECT 1 FROM ${this.#table} AS l WHERE ${same})`,
    );
    await this.#session.run(
      `UPDATE ${this.#table} AS l SET epoch = l.epoch + 1 FROM ${values} WHERE ${same}`,
    );
    const rows = await this.#session.rows(
      `SELECT l.topic, l."partition", l.next_offset, l.epoch FROM ${this.#table} AS l, ${values} WHERE ${same}`,
    );
    return rows.map(([topic, partition, next, epoch]) => ({
      topic: topic as TopicName,
      partition: Number(partition),
      next: next === null ? null : offset(Number(next)),
      epoch: Number(epoch),
    }));
  }

  /** Where the partitions of a topic go on; null for their beginning. */
  async partitions(topic: TopicName): Promise<{ partition: number; next: Offset | null }[]> {
    const rows = await this.#session.rows(
      `SELECT "partition", next_offset FROM ${this.#table} WHERE pipeline = ${literal(this.#pipeline)}` +
        ` AND topic = ${literal(topic)} ORDER BY 1`,
    );
    return rows.map(([partition, next]) => ({
      partition: Number(partition),
      next: next === null ? null : offset(Number(next)),
    }));
  }

  /** Sets partitions to where they are to be read from again: the explicit reset of I2. */
  async reset(topic: TopicName, starts: readonly PartitionStart[]): Promise<void> {
    for (const { partition, next } of starts) {
      await this.#session.run(
        `UPDATE ${this.#table} SET changes = changes + ${next} - coalesce(next_offset, 0),` +
          ` next_offset = ${next}, epoch = epoch + 1 WHERE topic = ${literal(topic)}` +
          ` AND pipeline = ${literal(this.#pipeline)} AND "partition" = ${partition}`,
      );
    }
  }

  /** Moves partitions, all or none. Throws `SINK_FENCED` if one is not where this worker left it. */
  async advance(advances: readonly Advance[]): Promise<void> {
    const values = advances
      .map(
        ({ topic, partition, next, to, epoch, changes }) =>
          `(${literal(topic)}, ${partition}, ${next ?? -1}, ${to}, ${epoch}, ${changes})`,
      )
      .join(', ');
    const moved = await this.#session.run(
      `UPDATE ${this.#table} AS l SET next_offset = v."to", changes = l.changes + v.n` +
        ` FROM (VALUES ${values}) AS v(topic, p, was, "to", epoch, n)` +
        ` WHERE l.pipeline = ${literal(this.#pipeline)} AND l.topic = v.topic AND l."partition" = v.p` +
        // I2, I5: only the newest epoch moves a partition, and only on from where it is.
        ' AND l.epoch = v.epoch AND coalesce(l.next_offset, -1) = v.was',
    );
    if (moved !== advances.length) {
      throw new MillraceError(
        'SINK_FENCED',
        'another worker has taken over a partition of this sink',
        {
          place: advances.map(({ topic, partition }) => `${topic}-${partition}`).join(', '),
        },
      );
    }
  }
}
