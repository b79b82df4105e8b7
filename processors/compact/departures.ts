import type { Offset, TopicName, TopicPartition } from '../../broker/broker.ts';
import { RecordCursor, type RecordWriter } from '../../broker/records.ts';
import type { Topics } from '../processor.ts';
import { NEW_KEY } from './headers.ts';

const DELETE = 'd'.charCodeAt(0);
/** Batches of `.changes` that are kept in hand, each as much as the broker reads at once. */
const WINDOWS_MAX = 8;

/** The first half of a key change that came from another partition: a delete there, in `.changes`. */
export interface Departure {
  /** The partition that the row has left. */
  readonly partition: number;
  readonly version: bigint;
  /** Of both halves: the source wrote them at once. */
  readonly timestamp: number;
}

/** Where it is looked for. */
export interface Neighbour {
  readonly topics: Topics;
  readonly raw: TopicName;
  readonly changes: TopicName;
  /** The partition that asks. */
  readonly partition: number;
  /** What this call has made of that partition so far; null if nothing. */
  readonly made: RecordWriter | null;
  /** What an earlier look came to; null if this is the first. */
  readonly wait: Wait | null;
}

/** The delete is not there yet. */
export class Wait {
  /** Where the raw partition ended at the first look: the delete is before that. */
  readonly end: Offset;
  /** The call that has looked last. */
  readonly call: number;

  constructor(end: Offset, call: number) {
    this.end = end;
    this.call = call;
  }
}

/**
 * Finds the deletes of rows that moved to another partition, for the columns that their inserts there
 * lack. Nothing is kept for it but what `.changes` holds, so that a restart, or another process, finds
 * the same.
 *
 * A delete that is not there yet will be: the source wrote both halves at once, so it is before the end
 * that its raw partition has. And waiting for it comes to an end, because whoever waits for a change waits
 * for one that is earlier in the source's order.
 */
export class Departures {
  readonly #cursor = new RecordCursor(Buffer.alloc(0));
  #call = 0;
  /** Of what the present call makes. */
  readonly #made = new Map<RecordWriter, Index>();
  /** Of batches of `.changes`, the one used last at the end. */
  readonly #windows = new Map<string, Index>();

  /** A new call begins: writers are used again. */
  begin(): void {
    this.#call++;
    if (this.#made.size > 0) this.#made.clear();
  }

  /** The record of the delete, or null if there is none. */
  async find(wanted: Departure, at: Neighbour): Promise<RecordCursor | Wait | null> {
    const { topics, raw, wait } = at;
    // It would wait for itself.
    if (wanted.partition === at.partition) return null;
    const made = this.#inMade(wanted, at);
    if (made !== null) return made;
    // Within a call nothing comes to the topics but what it makes itself.
    if (wait?.call === this.#call) return wait;
    const found = await this.#inTopic(wanted, at);
    if (found !== null) return found;
    const progress = await topics.progress({ topic: raw, partition: wanted.partition });
    const end = wait?.end ?? progress.end;
    if (progress.next < end) return new Wait(end, this.#call);
    // All that could be the delete has been worked off, and may have been published since we looked.
    return this.#inTopic(wanted, at);
  }

  #inMade({ version }: Departure, { made }: Neighbour): RecordCursor | null {
    if (made === null) return null;
    const index = this.#made.get(made) ?? new Index();
    this.#made.set(made, index);
    index.add(made.written(), index.seen);
    return index.find(version, this.#cursor);
  }

  async #inTopic(wanted: Departure, { topics, changes }: Neighbour): Promise<RecordCursor | null> {
    const { version, timestamp, partition } = wanted;
    const at: TopicPartition = { topic: changes, partition };
    const name = `${changes}/${partition}`;
    const window = this.#windows.get(name);
    const known = window?.find(version, this.#cursor) ?? null;
    if (known !== null) return known;
    for await (const { segments } of topics.read(at, { since: timestamp })) {
      const index = new Index();
      for (const { bytes } of segments) index.add(bytes);
      this.#keep(name, index);
      const found = index.find(version, this.#cursor);
      if (found !== null) return found;
    }
    return null;
  }

  /** I9: however many partitions there are. */
  #keep(name: string, index: Index): void {
    this.#windows.delete(name);
    this.#windows.set(name, index);
    if (this.#windows.size <= WINDOWS_MAX) return;
    const [oldest] = this.#windows.keys();
    if (oldest !== undefined) this.#windows.delete(oldest);
  }
}

/** Where the first halves of key changes are in packed records. */
class Index {
  /** Bytes that were added last. */
  seen = 0;
  readonly #places = new Map<bigint, { readonly bytes: Buffer; readonly start: number }>();

  add(bytes: Buffer, from = 0): void {
    this.seen = bytes.length;
    if (from >= bytes.length) return;
    const cursor = new RecordCursor(bytes).stand(bytes, from);
    do {
      const { op, version, start } = cursor;
      if (op === DELETE && cursor.findHeader(NEW_KEY)) this.#places.set(version, { bytes, start });
    } while (cursor.next());
  }

  find(version: bigint, cursor: RecordCursor): RecordCursor | null {
    const place = this.#places.get(version);
    return place === undefined ? null : cursor.stand(place.bytes, place.start);
  }
}
