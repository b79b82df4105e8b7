import type { DatabaseSync } from 'node:sqlite';
import { MillraceError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import {
  offset,
  type Broker,
  type BrokerState,
  type Consumed,
  type Offset,
  type Outgoing,
  type PublishOptions,
  type ReadBatch,
  type RecordBatch,
  type Subscription,
  type TopicPartition,
  type TopicSettings,
} from '../broker.ts';
import { RecordCursor } from '../records.ts';
import { Catalogue } from './catalogue.ts';
import { transaction } from './database.ts';
import type { Durability } from './durability.ts';
import { Maintenance } from './maintenance.ts';
import { requireInRange } from './partition-log.ts';
import { PartitionReader } from './partition-reader.ts';
import { Progress } from './progress.ts';
import { Publishing } from './publishing.ts';
import { segmentOf, SegmentTable } from './segment-table.ts';
import { deliveries, DELIVERY_BYTES_MAX } from './subscription.ts';

const RECORD_BYTES_MAX = 256 * 1024 * 1024;
/** How long a `commit` without records may stay in memory: it is progress for lag, no more. */
const COMMIT_DELAY_MS = 1000;

export interface EmbeddedBrokerParts {
  readonly database: DatabaseSync;
  readonly durability: Durability;
  readonly log: Log;
  readonly now: () => number;
  readonly options: {
    readonly recordBytesMax?: number;
    readonly compactionKeysMax?: number;
  };
}

/** The port `Broker` over one SQLite file. Promises and errors are the port's. */
export class EmbeddedBroker implements Broker {
  readonly #database: DatabaseSync;
  readonly #durability: Durability;
  readonly #catalogue: Catalogue;
  readonly #table: SegmentTable;
  readonly #progress: Progress;
  readonly #publishing: Publishing;
  readonly #maintenance: Maintenance;
  readonly #log: Log;
  readonly #closing = new AbortController();
  #saving: NodeJS.Timeout | null = null;

  constructor({ database, durability, log, now, options }: EmbeddedBrokerParts) {
    const { recordBytesMax = RECORD_BYTES_MAX, compactionKeysMax } = options;
    const table = new SegmentTable(database);
    const catalogue = new Catalogue(database);
    const progress = new Progress(database, catalogue);
    const keys = compactionKeysMax === undefined ? {} : { keysPerPass: compactionKeysMax };
    const maintenance = new Maintenance({
      database,
      table,
      catalogue,
      log,
      now,
      needed: (of) => progress.needed(of),
      ...keys,
    });
    const grown = maintenance.grown.bind(maintenance);
    this.#database = database;
    this.#catalogue = catalogue;
    this.#table = table;
    this.#progress = progress;
    this.#maintenance = maintenance;
    this.#log = log;
    this.#durability = durability;
    const parts = { durability, catalogue, table, progress, recordBytesMax, now, grown };
    this.#publishing = new Publishing(parts);
  }

  async createTopics(topics: readonly TopicSettings[]): Promise<void> {
    this.#requireOpen();
    this.#catalogue.create(topics);
  }

  /** `producer` needs no fence of its own: the file's lock lets one process in, the newest. */
  async publish(outgoing: readonly Outgoing[], by: PublishOptions = {}): Promise<void> {
    this.#requireOpen();
    await this.#publishing.publish(outgoing, by);
  }

  /** Nothing to do: the file's lock has fenced everyone else. */
  async fence(): Promise<void> {
    this.#requireOpen();
  }

  async *subscribe(
    subscription: Subscription,
    signal: AbortSignal,
  ): AsyncGenerator<readonly RecordBatch[]> {
    this.#requireOpen();
    const group = this.#progress.group(subscription.group);
    const source = { table: this.#table, closed: this.#closing.signal };
    yield* deliveries(group, { subscription, signal, source });
  }

  async commit(consumed: readonly Consumed[]): Promise<void> {
    this.#requireOpen();
    this.#progress.note(this.#progress.resolve(consumed));
    this.#saving ??= setTimeout(() => {
      this.#saving = null;
      try {
        this.#save();
      } catch (error) {
        // It stays noted: the next publish or commit writes it, or says the same to its caller.
        this.#log.warn({ err: error }, 'offsets could not be saved');
      }
    }, COMMIT_DELAY_MS).unref();
  }

  async *read(
    from: TopicPartition & { readonly next: Offset },
    signal: AbortSignal,
  ): AsyncGenerator<ReadBatch> {
    this.#requireOpen();
    const log = this.#catalogue.partition(from.topic, from.partition);
    const { topic, partition } = log;
    const limit = log.end;
    if (from.next >= limit) return;
    const reader = new PartitionReader(this.#table, log, {
      next: Math.max(from.next, log.start),
      who: 'a reader',
    });
    const most = { most: Infinity, records: Infinity, mayCut: true };
    const bounds = { wanted: DELIVERY_BYTES_MAX, limit, ...most };
    while (!signal.aborted) {
      this.#requireOpen();
      const taken = await reader.take(bounds);
      if (taken === null) return;
      const { segments, count, bytes } = taken;
      yield { topic, partition, segments, count, bytes };
    }
  }

  async describe(): Promise<BrokerState> {
    return { topics: this.#catalogue.describe(), groups: this.#progress.describe() };
  }

  async offsetAt({ topic, partition }: TopicPartition, timestamp: number): Promise<Offset> {
    this.#requireOpen();
    const log = this.#catalogue.partition(topic, partition);
    const end = offset(log.end);
    const row = this.#table.since(log.id, timestamp);
    // A publish that is not durable yet is not there yet.
    if (row === null || row.first >= log.end) return end;
    const { base, bytes } = await segmentOf(row);
    const cursor = new RecordCursor(bytes);
    while (cursor.next()) {
      if (cursor.timestamp >= timestamp) return offset(base + cursor.delta);
    }
    return end;
  }

  async seek(name: string, { topic, partition }: TopicPartition, next: Offset): Promise<void> {
    this.#requireOpen();
    const log = this.#catalogue.partition(topic, partition);
    requireInRange(log, next, `group ${name}`);
    const group = this.#progress.group(name);
    transaction(this.#database, () => this.#progress.writeSeek(group, log, next));
    this.#progress.sought(group, log, next);
  }

  maintain(now: number): Promise<void> {
    this.#requireOpen();
    return this.#maintenance.run(now);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    if (this.#saving !== null) clearTimeout(this.#saving);
    await this.#publishing.drained();
    await this.#maintenance[Symbol.asyncDispose]();
    try {
      this.#save();
    } finally {
      await this.#durability[Symbol.asyncDispose]();
      this.#database.close();
    }
  }

  #save(): void {
    if (!this.#progress.hasUnsaved) return;
    transaction(this.#database, () => this.#progress.writeUnsaved());
    this.#progress.saved();
  }

  #requireOpen(): void {
    if (this.#closing.signal.aborted) {
      throw new MillraceError('BROKER_CLOSED', 'The embedded broker was closed.');
    }
  }
}
