import type { DatabaseSync } from 'node:sqlite';
import { MillraceError } from '../../errors.ts';
import { offset, type BrokerState, type TopicName, type TopicSettings } from '../broker.ts';
import { transaction } from './database.ts';
import type { PartitionLog } from './partition-log.ts';

/** Topics and partitions, in memory as in the file. */
export class Catalogue {
  readonly #database: DatabaseSync;
  readonly #topics = new Map<TopicName, PartitionLog[]>();
  readonly #byId = new Map<number, PartitionLog>();

  constructor(database: DatabaseSync) {
    this.#database = database;
    const rows = database.prepare(`
      SELECT p.id, p.partition, p.start, p."end", p.bytes, p.cleaned, t.topic, t.cleanup,
        t.retention_ms, t.retention_bytes, t.tombstone_retention_ms,
        count(*) OVER (PARTITION BY t.id) AS partitions
      FROM partitions p JOIN topics t ON t.id = p.topic ORDER BY t.id, p.partition`);
    const dirty = database.prepare(
      'SELECT count(*) AS n, total(stored) AS bytes FROM segments WHERE partition = ? AND next > ?',
    );
    for (const row of rows.all() as unknown as PartitionRow[]) {
      const log = partitionLog(row);
      if (log.settings.cleanup === 'compact') {
        const found = dirty.get(log.id, log.cleaned);
        log.dirtySegments = Number(found?.['n']);
        log.dirtyBytes = Number(found?.['bytes']);
        log.supersedes = log.end - log.cleaned;
      }
      this.#add(log);
    }
  }

  /** Settings that exist already are replaced, so that a changed configuration takes effect. */
  create(topics: readonly TopicSettings[]): void {
    for (const wanted of topics) {
      const found = this.#topics.get(wanted.topic)?.length ?? wanted.partitions;
      if (found !== wanted.partitions) {
        throw new MillraceError('TOPIC_MISMATCH', `The topic has ${found} partitions.`, {
          place: wanted.topic,
          expected: `${wanted.partitions} partitions`,
        });
      }
      if (!Number.isInteger(wanted.partitions) || wanted.partitions < 1) {
        throw new MillraceError('TOPIC_MISMATCH', 'A topic needs at least one partition.', {
          place: wanted.topic,
        });
      }
    }
    const made = transaction(this.#database, () => topics.flatMap((topic) => this.#write(topic)));
    for (const log of made) this.#add(log);
    for (const settings of topics) {
      for (const log of this.partitions(settings.topic)) log.settings = settings;
    }
  }

  partitions(topic: TopicName): readonly PartitionLog[] {
    const found = this.#topics.get(topic);
    if (found === undefined) {
      throw new MillraceError('TOPIC_UNKNOWN', `There is no topic ${topic}.`, { place: topic });
    }
    return found;
  }

  partition(topic: TopicName, partition: number): PartitionLog {
    const found = this.partitions(topic)[partition];
    if (found === undefined) {
      throw new MillraceError('TOPIC_UNKNOWN', `${topic} has no partition ${partition}.`, {
        place: `${topic}-${partition}`,
      });
    }
    return found;
  }

  byId(id: number): PartitionLog | undefined {
    return this.#byId.get(id);
  }

  all(): Iterable<PartitionLog> {
    return this.#byId.values();
  }

  describe(): BrokerState['topics'] {
    return [...this.#topics.values()].flatMap((logs) => {
      const [first] = logs;
      if (first === undefined) return [];
      const offsets = logs.map(({ start, end, bytes }) => ({
        start: offset(start),
        end: offset(end),
        bytes,
      }));
      return [{ ...first.settings, offsets }];
    });
  }

  #add(log: PartitionLog): void {
    const logs = this.#topics.get(log.topic);
    if (logs === undefined) this.#topics.set(log.topic, [log]);
    else logs.push(log);
    this.#byId.set(log.id, log);
  }

  /** Writes a topic's settings; returns its partitions if they are new. */
  #write(settings: TopicSettings): PartitionLog[] {
    const { topic, cleanup, retentionMs, retentionBytes, tombstoneRetentionMs } = settings;
    const row = this.#database
      .prepare(`
        INSERT INTO topics (topic, cleanup, retention_ms, retention_bytes, tombstone_retention_ms)
        VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (topic) DO UPDATE SET cleanup = excluded.cleanup,
          retention_ms = excluded.retention_ms, retention_bytes = excluded.retention_bytes,
          tombstone_retention_ms = excluded.tombstone_retention_ms
        RETURNING id`)
      .get(topic, cleanup, retentionMs, retentionBytes, tombstoneRetentionMs);
    if (this.#topics.has(topic)) return [];
    const insert = this.#database.prepare(`
      INSERT INTO partitions (topic, partition, start, "end", bytes, cleaned)
      VALUES (?, ?, 0, 0, 0, 0)`);
    return Array.from({ length: settings.partitions }, (_, partition) => {
      const id = Number(insert.run(row?.['id'] ?? null, partition).lastInsertRowid);
      return { id, topic, partition, settings, ...EMPTY };
    });
  }
}

const EMPTY = {
  start: 0,
  end: 0,
  bytes: 0,
  cleaned: 0,
  dirtyBytes: 0,
  dirtySegments: 0,
  supersedes: 0,
};

interface PartitionRow {
  id: number;
  partition: number;
  start: number;
  end: number;
  bytes: number;
  cleaned: number;
  topic: TopicName;
  cleanup: 'delete' | 'compact';
  retention_ms: number | null;
  retention_bytes: number | null;
  tombstone_retention_ms: number;
  partitions: number;
}

function partitionLog(row: PartitionRow): PartitionLog {
  const { id, topic, partition, start, end, bytes, cleaned, cleanup, partitions } = row;
  const settings: TopicSettings = {
    topic,
    partitions,
    cleanup,
    retentionMs: row.retention_ms,
    retentionBytes: row.retention_bytes,
    tombstoneRetentionMs: row.tombstone_retention_ms,
  };
  return { ...EMPTY, id, topic, partition, settings, start, end, bytes, cleaned };
}
