import { availableParallelism } from 'node:os';
import type { Offset, RecordBatch, TopicName, TopicPartition } from '../../broker/broker.ts';
import { MillraceError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { TableShape } from '../../schemas/envelope.ts';
import type { SchemaRegistry } from '../../schemas/registry.ts';
import { changeText, type PendingChange } from '../evolution.ts';
import type { ParkedTable, Rebuild, RebuildFrom, Sink, TableHeld, Written } from '../sink.ts';
import { Targets, type TargetOptions } from '../target.ts';
import { tablesHeld } from './held.ts';
import { interruption } from './interruption.ts';
import { pendingChange } from './pending.ts';
import { query, type QueryOptions, type QueryResult } from './query.ts';
import { DuckdbSession, type Settings } from './session.ts';
import { Writer } from './writer.ts';

export interface DuckdbOptions extends TargetOptions {
  /** The file; made if it is not there. */
  readonly path: string;
  /** Name under which the ledger keeps offsets. */
  readonly pipeline: string;
  /** How long deleted keys are remembered, so that a late older change does not bring them back; 7 days. */
  readonly tombstoneRetentionMs?: number;
  /** Bound of DuckDB's own memory; `256MB`. What does not fit is spilled to disk. */
  readonly memoryLimit?: string;
  /** Threads of DuckDB; half of the cores, at most 4: the other stages need the rest. */
  readonly threads?: number;
  /** WAL size above which a commit also writes a checkpoint; `256MB`. */
  readonly checkpointThreshold?: string;
  /** A checkpoint is written when nothing came for so long; 5 s. */
  readonly checkpointIdleMs?: number;
}

export interface DuckdbSinkParts {
  readonly registry: SchemaRegistry;
  readonly log: Log;
  /** Milliseconds since 1970; the real clock. */
  readonly now?: () => number;
}

export interface DuckdbSink extends Sink {
  /** Reads what is committed, also while a write is going on. Throws `QUERY_FAILED`. */
  query(sql: string, options?: QueryOptions): Promise<QueryResult>;
  /** What the next rows of a table will do to its columns; null if the file has no such table. */
  pending(options: TargetOptions, shape: TableShape): Promise<PendingChange | null>;
  /** What it holds of each topic that it has opened. */
  held(): Promise<readonly TableHeld[]>;
}

const DAY_MS = 86_400_000;

/** A sink into one DuckDB file. The file is opened by the first `open` or `query`. */
export function duckdbSink(options: DuckdbOptions, parts: DuckdbSinkParts): DuckdbSink {
  return new OpenSink(options, parts);
}

/** For querying a file that no process has open for writing. */
export interface DuckdbReader extends AsyncDisposable {
  query(sql: string, options?: QueryOptions): Promise<QueryResult>;
  /** What the next rows of a table will do to its columns; null if the file has no such table. */
  pending(options: TargetOptions, shape: TableShape): Promise<PendingChange | null>;
}

/** Throws `SINK_IN_USE` if a process writes to it, `SINK_UNREADABLE` if there is none. */
export async function openDuckdbReadOnly(path: string): Promise<DuckdbReader> {
  const session = await DuckdbSession.open(path, 'read-only');
  return {
    query: (sql, options) => query(session, sql, options),
    pending: (options, shape) => pendingChange(session, options, shape),
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

const REST_INTERVAL_MS = 10 * 60_000;

class OpenSink implements DuckdbSink {
  readonly #options: DuckdbOptions;
  readonly #parts: DuckdbSinkParts;
  readonly #targets: Targets;
  #session: Promise<DuckdbSession> | undefined;
  #writer: Writer | undefined;
  #idle: NodeJS.Timeout | undefined;
  #restedAt = performance.now();
  /** Writes and checkpoints of one connection, one after another. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: DuckdbOptions, parts: DuckdbSinkParts) {
    this.#options = options;
    this.#parts = parts;
    this.#targets = new Targets(options);
  }

  async open(
    partitions: readonly TopicPartition[],
  ): Promise<readonly (TopicPartition & { readonly next: Offset })[]> {
    return this.#inTurn(async () => (await this.#writing()).takeOver(partitions));
  }

  parked(): Promise<readonly ParkedTable[]> {
    return this.#inTurn(async () => (await this.#writing()).parked);
  }

  resume(topic: TopicName): Promise<void> {
    return this.#inTurn(async () => (await this.#writing()).resume(topic));
  }

  async rebuild(topic: TopicName, from: RebuildFrom): Promise<Rebuild> {
    const { writer, rebuild } = await this.#inTurn(async () => {
      const writer = await this.#writing();
      return { writer, rebuild: await writer.rebuild(topic, from) };
    });
    // Its parts take turns with the writes, which go on.
    const inTurn = <T>(work: () => Promise<T>): Promise<T> =>
      this.#inTurn(async () => {
        if (this.#writer === writer) return work();
        throw new MillraceError('NOT_RUNNING', 'the sink was closed while a table was rebuilt', {
          place: `topic ${topic}`,
          remedy: 'Begin again: the table is as it was.',
        });
      });
    return {
      write: (batches) => inTurn(() => rebuild.write(batches)),
      replace: (starts) => inTurn(() => writer.replace(rebuild, starts)),
      [Symbol.asyncDispose]: async () => {
        // A writer that came after this one has dropped it.
        await this.#inTurn(async () => {
          if (this.#writer === writer) await writer.abandon(rebuild);
        });
      },
    };
  }

  async write(batches: readonly RecordBatch[], signal: AbortSignal): Promise<Written> {
    clearTimeout(this.#idle);
    return this.#inTurn(async () => {
      signal.throwIfAborted();
      if (this.#writer === undefined) {
        throw new MillraceError(
          'SINK_FENCED',
          'the sink holds no partition: it has to be opened again',
        );
      }
      const session = await this.#opened();
      const aborting = interruption(signal, () => session.interrupt());
      try {
        const written = await this.#writer.write(batches);
        await this.#restWhenDue();
        return written;
      } catch (error) {
        await this.#close();
        signal.throwIfAborted();
        throw error;
      } finally {
        aborting[Symbol.dispose]();
        this.#checkpointWhenIdle();
      }
    });
  }

  async query(sql: string, options?: QueryOptions): Promise<QueryResult> {
    return query(await this.#opened(), sql, options);
  }

  async held(): Promise<readonly TableHeld[]> {
    // Its own tables are there once it can write.
    await this.#inTurn(() => this.#writing());
    return tablesHeld(await this.#opened(), this.#options.pipeline);
  }

  pending(options: TargetOptions, shape: TableShape): Promise<PendingChange | null> {
    return this.#inTurn(async () => pendingChange(await this.#opened(), options, shape));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#idle);
    await this.#inTurn(() => this.#close());
    clearTimeout(this.#idle);
  }

  async #writing(): Promise<Writer> {
    const { registry, log, now = Date.now } = this.#parts;
    this.#writer ??= await Writer.create(await this.#opened(), {
      targets: this.#targets,
      registry,
      pipeline: this.#options.pipeline,
      now,
      tombstoneRetentionMs: this.#options.tombstoneRetentionMs ?? 7 * DAY_MS,
      changed: (table, change) =>
        log.info({ table, change: changeText(change) }, 'a table changed'),
    });
    return this.#writer;
  }

  #opened(): Promise<DuckdbSession> {
    return (this.#session ??= DuckdbSession.open(this.#options.path, settingsOf(this.#options)));
  }

  async #close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    this.#writer = undefined;
    // One that could not be opened was told to who opened it.
    const opened = await session?.catch(() => undefined);
    await opened?.[Symbol.asyncDispose]();
  }

  /** Under a load that never rests, this often all the same: tombstones must go some time. */
  async #restWhenDue(): Promise<void> {
    if (performance.now() - this.#restedAt > REST_INTERVAL_MS) await this.#rest();
  }

  async #rest(): Promise<void> {
    this.#restedAt = performance.now();
    await this.#writer?.rest();
  }

  #checkpointWhenIdle(): void {
    this.#idle = setTimeout(() => {
      void this.#inTurn(() => this.#rest()).catch((error: unknown) => {
        this.#parts.log.warn(
          { error },
          'the idle checkpoint of DuckDB failed; the next one takes it up',
        );
      });
    }, this.#options.checkpointIdleMs ?? 5000);
    this.#idle.unref();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work, work);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}

function settingsOf(options: DuckdbOptions): Settings {
  return {
    memoryLimit: options.memoryLimit ?? '256MB',
    threads: options.threads ?? Math.max(1, Math.min(4, availableParallelism() >> 1)),
    checkpointThreshold: options.checkpointThreshold ?? '256MB',
  };
}
