import type { Consumed, Outgoing, PublishOptions } from '../broker.ts';
import type { Catalogue } from './catalogue.ts';
import { brokerError } from './database.ts';
import type { RecordWriter } from '../records.ts';
import { releaseBuffer } from '../segment-memory.ts';
import type { Durability } from './durability.ts';
import type { PartitionLog } from './partition-log.ts';
import type { Progress, Reached } from './progress.ts';
import { spansOf, type RecordSpan } from './record-span.ts';
import { storeBody, type SegmentBody } from './segment-body.ts';
import type { SegmentTable } from './segment-table.ts';

/** Spans of one publish that may be in the thread pool at once: it has four threads for everybody. */
const COMPRESSING_MAX = 4;

/** The records of a writer: cut and compressed once, however many partitions get them. */
interface Packed {
  readonly spans: readonly RecordSpan[];
  readonly bodies: SegmentBody[];
}

interface Part {
  readonly log: PartitionLog;
  readonly packed: Packed;
  readonly supersedes: number;
}

/** A publish on its way. `reached` is empty until it is checked, in the turn in which it is written. */
interface Pending {
  readonly parts: readonly Part[];
  readonly consumed: readonly Consumed[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  ready: boolean;
  reached: readonly Reached[];
}

export interface PublishingParts {
  readonly durability: Durability;
  readonly catalogue: Catalogue;
  readonly table: SegmentTable;
  readonly progress: Progress;
  readonly recordBytesMax: number;
  readonly now: () => number;
  /** Called for each partition that has grown, after the commit. */
  readonly grown: (log: PartitionLog) => void;
}

/**
 * Writes publishes, in the order they were asked for. Those that are ready when the last transaction
 * has become durable share the next one and its fsync; each is checked by itself before anything is
 * written, so that a fenced one takes no other with it.
 *
 * ```
 * publish ─ compress (pool) ─ COMMIT (this thread) ─ fdatasync (pool) ─ visible, resolved
 * ```
 */
export class Publishing {
  readonly #of: PublishingParts;
  readonly #queue: Pending[] = [];
  readonly #waiting = new Set<Promise<void>>();
  #writing = false;
  #failed: { readonly error: unknown } | null = null;

  constructor(parts: PublishingParts) {
    this.#of = parts;
  }

  publish(outgoing: readonly Outgoing[], by: PublishOptions): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const packed = new Map<RecordWriter, Packed>();
    const parts = outgoing
      .filter(({ records }) => records.count > 0)
      .map(({ topic, partition, records, supersedes = records.count }): Part => {
        const log = this.#of.catalogue.partition(topic, partition);
        const found = packed.get(records) ?? {
          spans: spansOf(records, this.#of.recordBytesMax, topic),
          bodies: [],
        };
        packed.set(records, found);
        return { log, packed: found, supersedes };
      });
    const consumed = by.consumed ?? [];
    const pending = { parts, consumed, resolve, reject, ready: false, reached: [] };
    this.#queue.push(pending);
    this.#waiting.add(promise);
    const settled = (): unknown => this.#waiting.delete(promise);
    promise.then(settled, settled);
    this.#compress(pending, [...packed.values()]);
    return promise;
  }

  /** Resolves when all that was asked for so far is written or refused. */
  async drained(): Promise<void> {
    while (this.#waiting.size > 0) await Promise.allSettled(this.#waiting);
  }

  #compress(pending: Pending, packed: readonly Packed[]): void {
    const waiting: Promise<void>[] = [];
    const spans = packed.flatMap(({ spans, bodies }) =>
      spans.map((span, index) => ({ span, bodies, index })),
    );
    const jobs = spans.values();
    // The loop below and each `work` take from one iterator, so that every span is done once.
    const work = async (): Promise<void> => {
      for (const { span, bodies, index } of jobs) bodies[index] = await storeBody(span.bytes);
    };
    for (const { span, bodies, index } of jobs) {
      const body = storeBody(span.bytes);
      if (!(body instanceof Promise)) bodies[index] = body;
      else {
        waiting.push(body.then((stored) => void (bodies[index] = stored)).then(work));
        if (waiting.length === COMPRESSING_MAX) break;
      }
    }
    const ready = (): void => {
      pending.ready = true;
      this.#schedule();
    };
    if (waiting.length === 0) ready();
    else {
      Promise.all(waiting).then(ready, (error: unknown) => {
        this.#queue.splice(this.#queue.indexOf(pending), 1);
        pending.reject(error);
        this.#schedule();
      });
    }
  }

  #schedule(): void {
    if (this.#writing) return;
    this.#writing = true;
    setImmediate(() => void this.#writeAll());
  }

  async #writeAll(): Promise<void> {
    for (let ready = this.#takeReady(); ready.length > 0; ready = this.#takeReady()) {
      await this.#writeTogether(ready.filter((pending) => this.#check(pending)));
    }
    this.#writing = false;
  }

  /** The publishes at the head of the queue, up to the first that is still being compressed. */
  #takeReady(): readonly Pending[] {
    const first = this.#queue.findIndex(({ ready }) => !ready);
    return this.#queue.splice(0, first < 0 ? this.#queue.length : first);
  }

  async #writeTogether(publishes: readonly Pending[]): Promise<void> {
    if (publishes.length === 0) return;
    try {
      const grew = this.#write(publishes);
      for (const { parts } of publishes) {
        for (const { packed } of parts) for (const { body } of packed.bodies) releaseBuffer(body);
      }
      try {
        await this.#of.durability.sync();
      } catch (error) {
        // Whether it is on the disk is not known, so that nothing may build on it any more.
        this.#failed = { error: brokerError(error) };
        throw this.#failed.error;
      }
      this.#show(grew);
      for (const { reached } of publishes) this.#of.progress.shown(reached);
    } catch (error) {
      for (const { reject } of publishes) reject(error);
      return;
    }
    for (const { resolve } of publishes) resolve();
  }

  #check(pending: Pending): boolean {
    try {
      if (this.#failed !== null) throw this.#failed.error;
      pending.reached = this.#of.progress.resolve(pending.consumed);
      return true;
    } catch (error) {
      pending.reject(error);
      return false;
    }
  }

  /** I5: records and consumed offsets are one transaction. */
  #write(publishes: readonly Pending[]): ReadonlyMap<PartitionLog, Growth> {
    const { durability, progress, table } = this.#of;
    const grew = new Map<PartitionLog, Growth>();
    durability.transaction(() => {
      for (const { parts, reached } of publishes) {
        for (const part of parts) this.#append(part, growthOf(grew, part.log));
        progress.write(reached);
      }
      for (const [{ id }, { end, bytes }] of grew) table.grow(id, end, bytes);
      progress.writeUnsaved();
    });
    progress.saved();
    for (const { reached } of publishes) progress.reachedUnseen(reached);
    for (const [log, { bytes, segments, supersedes }] of grew) {
      log.bytes += bytes;
      log.dirtyBytes += bytes;
      log.dirtySegments += segments;
      log.supersedes += supersedes;
    }
    return grew;
  }

  /** Only what is durable is read: a reader may tell the outside what it has seen. */
  #show(grew: ReadonlyMap<PartitionLog, Growth>): void {
    for (const [log, { end }] of grew) {
      log.end = end;
      this.#of.grown(log);
      this.#of.progress.wake(log);
    }
  }

  #append({ log, packed, supersedes }: Part, growth: Growth): void {
    const base = growth.end;
    const now = this.#of.now();
    growth.supersedes += supersedes;
    packed.spans.forEach((span, index) => {
      const body = packed.bodies[index] as SegmentBody;
      const next = base + span.nextDelta;
      this.#of.table.insert(log.id, {
        ...body,
        base,
        first: growth.end,
        next,
        count: span.count,
        size: span.bytes.length,
        newest: span.newest,
        publishedFirst: now,
        publishedLast: now,
        tombstones: span.tombstones,
      });
      growth.end = next;
      growth.bytes += body.body.length;
      growth.segments++;
    });
  }
}

/** What a transaction adds to a partition. */
interface Growth {
  end: number;
  bytes: number;
  segments: number;
  supersedes: number;
}

function growthOf(grew: Map<PartitionLog, Growth>, log: PartitionLog): Growth {
  let growth = grew.get(log);
  if (growth === undefined) {
    growth = { end: log.end, bytes: 0, segments: 0, supersedes: 0 };
    grew.set(log, growth);
  }
  return growth;
}
