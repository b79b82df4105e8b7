import {
  offset,
  type Consumed,
  type Outgoing,
  type RecordBatch,
  type TopicName,
  type TopicPartition,
} from '../../broker/broker.ts';
import { RecordCursor, RecordWriter } from '../../broker/records.ts';
import { MillraceError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { SchemaRegistry } from '../../schemas/registry.ts';
import type { Processed, Processor, ReadOutput } from '../processor.ts';
import { newCounters, type CompactCounters } from './counters.ts';
import { PartitionState, type Taken, type Workshop } from './partition-state.ts';
import { RowLog } from './row-log.ts';
import { changesTopic, latestTopic } from './topics.ts';
import { ValueSchemas } from './value-schema.ts';
import { WholeRow } from './whole-row.ts';

export interface CompactOptions {
  /** For files that hold nothing which must be kept. */
  readonly stateDirectory: string;
  /** How long a deleted key's version is remembered at least. Default 7 days. */
  readonly tombstoneRetentionMs?: number;
  /** Bytes after which a call leaves the rest to the next. `.latest` may come to as much again. */
  readonly outgoingBytesMax?: number;
  /** Size of the files of rows, at which they are given up when most of them is garbage. */
  readonly rowSegmentBytes?: number;
  readonly now?: () => number;
}

export interface CompactProcessor extends Processor {
  readonly counters: Readonly<CompactCounters>;
  /** What the state takes: memory for keys, files for rows (garbage included). */
  readonly size: { readonly keys: number; readonly keyBytes: number; readonly rowBytes: number };
}

const DAY_MS = 24 * 60 * 60 * 1000;
const WRITER_BYTES_KEPT = 4 * 1024 * 1024;
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

/** A partition that is open. */
interface Open {
  readonly changes: TopicName;
  readonly latest: TopicName;
  readonly partition: number;
  readonly owner: number;
  readonly state: PartitionState;
}

/** What a call makes of a partition. */
interface Made {
  readonly changes: RecordWriter;
  readonly latest: RecordWriter;
  consumed: Consumed;
}

/** A batch that is being worked off. */
interface Work {
  readonly batch: RecordBatch;
  readonly open: Open;
  segment: number;
  cursor: RecordCursor | null;
  /** The cursor stands on a record that was not taken yet. */
  standing: boolean;
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
  /** What this call has made so far. */
  readonly #made = new Map<Open, Made>();
  /** Bytes of it, but for the partition in hand. */
  #bytes = 0;
  /** As many as the largest call needed: a table that is quiet holds none. */
  readonly #writers: RecordWriter[] = [];
  #queue: Work[] = [];

  constructor(options: CompactOptions, registry: SchemaRegistry, log: Log) {
    this.#now = options.now ?? Date.now;
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

  async open({ topic, partition }: TopicPartition, read: ReadOutput): Promise<void> {
    await this.close({ topic, partition });
    const owner = this.#ownersEver++;
    const state = new PartitionState(this.#shop, owner);
    this.#owners.set(owner, state);
    const latest = latestTopic(topic);
    state.now = this.#now();
    try {
      for await (const { segments } of read(latest, partition)) {
        for (const { bytes } of segments) state.restore(bytes);
        this.#tidy();
      }
    } catch (error) {
      state.release();
      this.#owners.delete(owner);
      throw error;
    }
    this.#open.set(name(topic, partition), {
      changes: changesTopic(topic),
      latest,
      partition,
      owner,
      state,
    });
    this.#log.debug({ topic, partition, keys: state.keys }, 'state rebuilt');
  }

  async process(batches: readonly RecordBatch[]): Promise<Processed> {
    for (const writer of this.#writers) writer.reset(WRITER_BYTES_KEPT);
    this.#made.clear();
    this.#bytes = 0;
    for (const batch of batches) this.#queue.push(this.#workOf(batch));
    let taken: Taken = 'done';
    while (this.#queue.length > 0 && taken !== 'full') {
      const work = this.#queue[0] as Work;
      const made = this.#begin(work);
      for (taken = this.#work(work); taken === 'schema-unknown'; taken = this.#work(work)) {
        await this.#schemas.resolve(this.#shop.whole.schemaWanted);
      }
      work.open.state.finish();
      made.consumed = consumedBy(work);
      this.#bytes += made.changes.bytes + made.latest.bytes;
      if (taken === 'done') this.#queue.shift();
    }
    this.#tidy();
    return {
      outgoing: this.#outgoing(),
      consumed: [...this.#made.values()].map(({ consumed }) => consumed),
      more: this.#queue.length > 0,
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

  #workOf(batch: RecordBatch): Work {
    const { topic, partition } = batch;
    const open = this.#open.get(name(topic, partition));
    if (open === undefined) throw new Error(`partition ${partition} of ${topic} is not open`);
    return { batch, open, segment: -1, cursor: null, standing: false };
  }

  #begin({ open, batch: { consumed } }: Work): Made {
    let made = this.#made.get(open);
    if (made === undefined) {
      const first = 2 * this.#made.size;
      const changes = (this.#writers[first] ??= new RecordWriter(4 * 1024));
      const latest = (this.#writers[first + 1] ??= new RecordWriter(4 * 1024));
      made = { changes, latest, consumed };
      this.#made.set(open, made);
    }
    this.#bytes -= made.changes.bytes + made.latest.bytes;
    open.state.now = this.#now();
    open.state.begin(made.changes, made.latest);
    return made;
  }

  #outgoing(): Outgoing[] {
    const found: Outgoing[] = [];
    for (const [{ changes, latest, partition }, made] of this.#made) {
      found.push({ topic: changes, partition, records: made.changes });
      found.push({ topic: latest, partition, records: made.latest });
    }
    return found.filter(({ records }) => records.count > 0);
  }

  /** Takes records of a batch until one cannot be taken, or this call has made enough. */
  #work(work: Work): Taken {
    const { state } = work.open;
    const { counters, outgoingBytesMax } = this.#shop;
    while (work.standing || next(work)) {
      // I9: one record can make others whole that are much larger than what came in.
      if (this.#bytes + state.outgoingBytes >= outgoingBytesMax) {
        work.standing = true;
        return 'full';
      }
      const taken = this.#take(work);
      work.standing = taken !== 'done';
      if (taken !== 'done') return taken;
      counters.in++;
    }
    return 'done';
  }

  #take({ batch, open, segment, cursor }: Work): Taken {
    try {
      return open.state.take(cursor as RecordCursor);
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'RECORD_MALFORMED') throw error;
      const at = (batch.segments[segment]?.base ?? 0) + (cursor?.delta ?? 0);
      throw new MillraceError(error.code, error.message, {
        place: `${batch.topic}, partition ${batch.partition}, offset ${at}`,
        cause: error,
        ...(error.expected === undefined ? {} : { expected: error.expected }),
      });
    }
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

/** Moves to the next record of the batch; false if there is none. */
function next(work: Work): boolean {
  while (work.cursor === null || !work.cursor.next()) {
    const segment = work.batch.segments[++work.segment];
    if (segment === undefined) return false;
    work.cursor = new RecordCursor(segment.bytes);
  }
  return true;
}

/** I5: up to the record that was not taken, or all of the batch. */
function consumedBy({ batch, segment, cursor, standing }: Work): Consumed {
  const base = batch.segments[segment]?.base;
  if (!standing || base === undefined || cursor === null) return batch.consumed;
  return { ...batch.consumed, next: offset(base + cursor.delta) };
}

function name(topic: TopicName, partition: number): string {
  return `${topic}/${partition}`;
}
