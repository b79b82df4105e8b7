import type { Broker, Offset, TopicName } from '../broker/broker.ts';
import { MillraceError } from '../errors.ts';
import { endOf } from '../sinks/runs.ts';
import type { Rebuild, RebuildFrom, Sink } from '../sinks/sink.ts';
import type { TableTopics } from './topology.ts';

/** A table being made anew, as `status` shows it. */
export interface RebuildProgress {
  readonly sink: string;
  readonly table: string;
  readonly from: RebuildFrom;
  readonly records: number;
  /** On the topics when it began. */
  readonly recordsExpected: number;
}

export interface RebuildOrder {
  readonly topics: Pick<TableTopics, 'changes' | 'latest'>;
  readonly from: RebuildFrom;
  readonly told?: (progress: Pick<RebuildProgress, 'records' | 'recordsExpected'>) => void;
}

/** A table that has been made and waits for its place. */
export interface Rebuilt extends AsyncDisposable {
  /** To be called while nobody reads the topic for the sink. */
  replace(broker: Broker, group: string): Promise<void>;
}

/** Partitions whose batches are in memory at once, at most. */
const ABREAST_MAX = 8;
/** A topic that is written without rest is never read to its end; what is left comes after the change of places. */
const ROUNDS_MAX = 10;

/**
 * Makes a table anew beside the one in place: from the beginning of `.changes`, or from the newest rows on
 * `.latest` and then what `.changes` got after them. Both are published together, so `.latest` as it is read
 * holds all that `.changes` held before. Throws `SINK_GAP` if `.changes` has forgotten its beginning,
 * `REBUILD_REFUSED`, and what the table refuses; the old one is as it was then.
 */
export async function rebuildTable(
  sink: Sink,
  broker: Broker,
  order: RebuildOrder & { readonly signal: AbortSignal },
): Promise<Rebuilt> {
  const { from, signal, told = () => {} } = order;
  const { changes, latest } = order.topics;
  const history = await offsetsOf(broker, changes);
  const newest = from === 'latest' ? await offsetsOf(broker, latest) : [];
  if (from === 'changes') requireBeginning(changes, history);
  else requireNewest(order.topics, { history, newest });
  const recordsExpected = recordsIn(from === 'changes' ? history : newest);
  const made = await sink.rebuild(changes, from);
  try {
    const feed = new Feed(made, broker, (records) => told({ records, recordsExpected }));
    // I4: every record of `.changes` from here on is still to come.
    const next = history.map(({ start, end }) => (from === 'changes' ? start : end));
    if (from === 'latest')
      await feed.all(
        latest,
        newest.map(({ start }) => start),
        signal,
      );
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if ((await feed.all(changes, next, signal)) === 0) break;
    }
    if (from === 'changes') requireBeginning(changes, await offsetsOf(broker, changes));
    return placing(made, changes, next);
  } catch (error) {
    await made[Symbol.asyncDispose]();
    throw error;
  }
}

function placing(made: Rebuild, topic: TopicName, next: readonly Offset[]): Rebuilt {
  return {
    async replace(broker, group) {
      await made.replace(next.map((at, partition) => ({ partition, next: at })));
      // The ledger decides; this is for what is shown as waiting.
      for (const [partition, at] of next.entries()) {
        await broker.seek(group, { topic, partition }, at);
      }
    },
    [Symbol.asyncDispose]: () => made[Symbol.asyncDispose](),
  };
}

/** Brings what topics hold into a table that is being made. */
class Feed {
  readonly #made: Rebuild;
  readonly #broker: Broker;
  readonly #told: (records: number) => void;
  #records = 0;

  constructor(made: Rebuild, broker: Broker, told: (records: number) => void) {
    this.#made = made;
    this.#broker = broker;
    this.#told = told;
    told(0);
  }

  /** Reads partitions to their present ends, moves `next` there, and says how many records there were. */
  async all(topic: TopicName, next: Offset[], signal: AbortSignal): Promise<number> {
    const before = this.#records;
    for (let first = 0; first < next.length; first += ABREAST_MAX) {
      await this.#abreast(topic, { next, first, signal });
    }
    return this.#records - before;
  }

  /** A batch of each partition at a time, so that changes of columns come in about their order. */
  async #abreast(
    topic: TopicName,
    of: { readonly next: Offset[]; readonly first: number; readonly signal: AbortSignal },
  ): Promise<void> {
    const { next, first, signal } = of;
    const readers = next.slice(first, first + ABREAST_MAX).map((at, index) => {
      const from = { topic, partition: first + index, next: at };
      return this.#broker.read(from, signal)[Symbol.asyncIterator]();
    });
    try {
      for (;;) {
        const taken = await Promise.all(readers.map((reader) => reader.next()));
        signal.throwIfAborted();
        const batches = taken.flatMap(({ done, value }) => (done === true ? [] : [value]));
        if (batches.length === 0) return;
        // Said before the bytes are given away.
        for (const batch of batches) {
          next[batch.partition] = endOf(batch);
          this.#records += batch.count;
        }
        await this.#made.write(batches);
        this.#told(this.#records);
      }
    } finally {
      for (const reader of readers) await reader.return?.();
    }
  }
}

type Offsets = readonly { readonly start: Offset; readonly end: Offset }[];

async function offsetsOf(broker: Broker, topic: TopicName): Promise<Offsets> {
  const { topics } = await broker.describe();
  return topics.find((found) => found.topic === topic)?.offsets ?? [];
}

function recordsIn(offsets: Offsets): number {
  return offsets.reduce((sum, { start, end }) => sum + (end - start), 0);
}

function requireBeginning(topic: TopicName, offsets: Offsets): void {
  const forgotten = offsets.findIndex(({ start }) => start > 0);
  if (forgotten < 0) return;
  throw new MillraceError('SINK_GAP', 'the topic no longer holds the beginning of the table', {
    place: `${topic}-${forgotten}`,
    expected: 'offset 0: `topics.changesRetention: never`',
  });
}

/** Changes without a key are on no `.latest`. */
function requireNewest(
  { latest }: RebuildOrder['topics'],
  of: { readonly history: Offsets; readonly newest: Offsets },
): void {
  const nothing = of.newest.every(({ end }) => end === 0);
  if (!nothing || of.history.every(({ end }) => end === 0)) return;
  throw new MillraceError('REBUILD_REFUSED', 'the topic has no rows of the table', {
    place: `topic ${latest}`,
    expected: 'a table with a key',
  });
}
