import type { RecordBatch, TopicName, TopicPartition } from '../../broker/broker.ts';
import type { RecordCursor } from '../../broker/records.ts';
import type { MillraceError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { SchemaRegistry } from '../../schemas/registry.ts';
import type { Processed, Processor, Topics } from '../processor.ts';
import { newCounters, type CompactCounters } from './counters.ts';
import { Departures, Wait } from './departures.ts';
import { Output } from './output.ts';
import { PartitionState } from './partition-state.ts';
import { RowLog } from './row-log.ts';
import { changesTopic, latestTopic } from './topics.ts';
import { ValueSchemas } from './value-schema.ts';
import { WholeRow } from './whole-row.ts';
import { consumedBy, newWork, next, refusalOf, type Open, type Work } from './work.ts';
import type { Taken, Workshop } from './workshop.ts';

export interface CompactOptions {
  /** For files that hold nothing which must be kept. */
  readonly stateDirectory: string;
  /** How long a deleted key's version is remembered at least. Default 7 days. */
  readonly tombstoneRetentionMs?: number;
  /** Bytes after which a call leaves the rest to the next. `.latest` may come to as much again. */
  readonly outgoingBytesMax?: number;
  /** Size of the files of rows, at which they are given up when most of them is garbage. */
  readonly rowSegmentBytes?: number;
  /** Elapsed time in ms, which never goes back: a clock that is set must not make it forget. */
  readonly now?: () => number;
}

export interface CompactProcessor extends Processor {
  readonly counters: Readonly<CompactCounters>;
  /** What the state takes: memory for keys, files for rows (garbage included). */
  readonly size: { readonly keys: number; readonly keyBytes: number; readonly rowBytes: number };
}

const DAY_MS = 24 * 60 * 60 * 1000;
const SEGMENTS_TIDIED_MAX = 4;

/**
 * The compact stage for sources that deliver the changes of a key in order: raw topic in, `.changes`
 * (each change once, whole) and `.latest` (newest row per key) out, partition by partition. What it
 * knows of a partition is what `.latest` holds.
 */
export function compactProcessor(
  options: CompactOptions,
  { registry, log }: { readonly registry: SchemaRegistry; readonly log: Log },
): CompactProcessor {
  return new Compact(options, registry, log);
}

class Compact implements CompactProcessor {
  readonly counters = newCounters();
  readonly #now: () => number;
  readonly #log: Log;
  readonly #schemas: ValueSchemas;
  readonly #shop: Workshop;
  readonly #open = new Map<string, Open>();
  /** By number in the row log. */
  readonly #owners = new Map<number, PartitionState>();
  #ownersEver = 0;
  readonly #output = new Output();
  #queue: Work[] = [];
  readonly #departures = new Departures();
  /** A record that cannot be read, as the next call will say. */
  #refusal: MillraceError | null = null;

  constructor(options: CompactOptions, registry: SchemaRegistry, log: Log) {
    this.#now = options.now ?? (() => performance.now());
    this.#log = log;
    this.#schemas = new ValueSchemas(registry);
    this.#shop = {
      rows: new RowLog({
        directory: options.stateDirectory,
        segmentBytes: options.rowSegmentBytes,
      }),
      whole: new WholeRow(this.#schemas),
      counters: this.counters,
      tombstoneRetentionMs: options.tombstoneRetentionMs ?? 7 * DAY_MS,
      outgoingBytesMax: options.outgoingBytesMax ?? 32 * 1024 * 1024,
    };
  }

  get size(): CompactProcessor['size'] {
    let keys = 0;
    let keyBytes = 0;
    for (const state of this.#owners.values()) {
      keys += state.keys;
      keyBytes += state.bytes;
    }
    return { keys, keyBytes, rowBytes: this.#shop.rows.bytes };
  }

  async open({ topic, partition }: TopicPartition, topics: Topics): Promise<void> {
    await this.close({ topic, partition });
    const owner = this.#ownersEver++;
    const state = new PartitionState(this.#shop, owner);
    this.#owners.set(owner, state);
    const latest = latestTopic(topic);
    state.now = this.#now();
    try {
      for await (const batch of topics.read({ topic: latest, partition })) {
        for (const segment of batch.segments) state.restore(segment, batch);
        this.#tidy();
      }
    } catch (error) {
      state.release();
      this.#owners.delete(owner);
      throw error;
    }
    this.#open.set(name(topic, partition), {
      topics,
      raw: topic,
      changes: changesTopic(topic),
      latest,
      partition,
      owner,
      state,
    });
    this.#log.debug({ topic, partition, keys: state.keys }, 'state rebuilt');
  }

  async process(batches: readonly RecordBatch[]): Promise<Processed> {
    if (this.#refusal !== null) throw this.#refusal;
    this.#output.reset();
    this.#departures.begin();
    for (const batch of batches) this.#queue.push(this.#workOf(batch));
    const { in: before } = this.counters;
    const isFull = await this.#workOff();
    this.#tidy();
    const waiting = new Set(this.#queue.map(({ open }) => open));
    const paused = Array.from(waiting, ({ raw: topic, partition }) => ({ topic, partition }));
    // What waits for another partition may find it when that is published.
    const isMoved = paused.length > 0 && this.counters.in > before;
    return {
      outgoing: this.#output.outgoing(),
      consumed: this.#output.consumed(),
      more: isFull || isMoved,
      paused,
    };
  }

  async close({ topic, partition }: TopicPartition): Promise<void> {
    const open = this.#open.get(name(topic, partition));
    if (open === undefined) return;
    this.#queue = this.#queue.filter((work) => work.open !== open);
    open.state.release();
    this.#owners.delete(open.owner);
    this.#open.delete(name(topic, partition));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#queue = [];
    this.#open.clear();
    this.#owners.clear();
    this.#shop.rows[Symbol.dispose]();
  }

  /**
   * Works on the queue until nothing in it goes on: what a partition waits for may come with another's
   * work, and that may have waited in turn. True if this call has made enough.
   */
  async #workOff(): Promise<boolean> {
    let before = -1;
    while (this.#queue.length > 0 && this.counters.in !== before) {
      before = this.counters.in;
      const waiting: Work[] = [];
      for (const [index, work] of this.#queue.entries()) {
        const isBehind = waiting.some(({ open }) => open === work.open);
        const taken = isBehind ? 'moved' : await this.#run(work);
        if (taken === 'full') {
          this.#queue = [...waiting, ...this.#queue.slice(index)];
          return true;
        }
        if (taken !== 'done') waiting.push(work);
      }
      this.#queue = waiting;
    }
    return false;
  }

  async #run(work: Work): Promise<Taken> {
    const { open } = work;
    const { in: before } = this.counters;
    open.state.now = this.#now();
    this.#output.begin(open);
    const taken = await this.#takeAll(work);
    const isIdle = taken === 'moved' && this.counters.in === before;
    this.#output.end(open, isIdle ? null : consumedBy(work));
    return taken;
  }

  async #takeAll(work: Work): Promise<Taken> {
    try {
      for (;;) {
        const taken = this.#take(work);
        if (taken === 'schema-unknown') await this.#schemas.resolve(this.#shop.whole.schemaWanted);
        else if (taken !== 'moved' || !(await this.#lend(work))) return taken;
      }
    } catch (error) {
      // What came before it is published with this call; the next one says what is wrong.
      this.#refusal = refusalOf(work, error);
      return 'full';
    }
  }

  /** Gives a record that came from another partition its row; false if that has to be waited for. */
  async #lend(work: Work): Promise<boolean> {
    const { open, wait } = work;
    const { arrival } = open.state;
    const old = this.#open.get(name(open.raw, arrival.departure.partition));
    const made = this.#output.changesOf(old);
    const found = await this.#departures.find(arrival.departure, { ...open, made, wait });
    work.wait = found instanceof Wait ? found : null;
    if (found instanceof Wait) return false;
    if (found === null) {
      const place = { topic: open.raw, partition: open.partition };
      this.#log.warn(place, 'a row has moved here, and its old partition has no record of it');
    }
    arrival.lend(found);
    return true;
  }

  #workOf(batch: RecordBatch): Work {
    const { topic, partition } = batch;
    const open = this.#open.get(name(topic, partition));
    if (open === undefined) throw new Error(`partition ${partition} of ${topic} is not open`);
    return newWork(batch, open);
  }

  /** Takes records of a batch until one cannot be taken, or this call has made enough. */
  #take(work: Work): Taken {
    const { counters, outgoingBytesMax } = this.#shop;
    while (work.standing || next(work)) {
      // I9: one record can make others whole that are much larger than what came in.
      if (this.#output.bytes(work.open) >= outgoingBytesMax) {
        work.standing = true;
        return 'full';
      }
      work.standing = true;
      const taken = work.open.state.take(work.cursor as RecordCursor);
      work.standing = taken !== 'done';
      if (taken !== 'done') return taken;
      counters.in++;
    }
    return 'done';
  }

  /** A few segments at most, so that no call waits long: they give back what the largest call appends. */
  #tidy(): void {
    for (let segments = 0; segments < SEGMENTS_TIDIED_MAX; segments++) {
      const tidied = this.#shop.rows.tidy((owner, cursor, segment) =>
        this.#owners.get(owner)?.keep(cursor, segment),
      );
      if (!tidied) return;
    }
  }
}

function name(topic: TopicName, partition: number): string {
  return `${topic}/${partition}`;
}
