import { ByteWriter } from '../../schemas/byte-writer.ts';
import type { Transaction } from './pgoutput.ts';
import { lsnOf } from './stream-message.ts';
import type { EventCount, TransactionTopic } from './transaction-topic.ts';

/**
 * Numbers the events of the transaction that is being read, and has its begin and end told.
 *
 * The id is `<xid>:<LSN of the commit>`: the same in all events, in BEGIN and in END. A restart in the
 * middle of a transaction counts what was published and goes on from there. BEGIN comes with the first
 * event and END with the commit, so a transaction of which nothing is captured is not told.
 */
export class TransactionOrder {
  readonly #topic: TransactionTopic;
  readonly #counts = new Map<string, EventCount>();
  /** `transaction` of an envelope up to the id. */
  readonly #opening = new ByteWriter(64);
  #id = '';
  #millis = 0;
  #total = 0;
  #repeats = false;

  constructor(topic: TransactionTopic) {
    this.#topic = topic;
  }

  begin({ xid, commitHigh, commitLow, micros }: Transaction): void {
    this.#id = `${xid}:${lsnOf(commitHigh, commitLow)}`;
    this.#millis = Math.floor(micros / 1000);
    this.#total = 0;
    this.#counts.clear();
    const opening = this.#opening;
    opening.reset();
    opening.byte(2);
    opening.string(this.#id);
  }

  /** Good until the transaction ends. */
  countOf(collection: string): EventCount {
    let count = this.#counts.get(collection);
    if (count === undefined) {
      count = { collection, events: 0 };
      this.#counts.set(collection, count);
    }
    return count;
  }

  /** Counts one event and writes its `transaction`. */
  write(count: EventCount, out: ByteWriter): void {
    if (this.#repeats) this.#repeats = false;
    else {
      if (this.#total === 0) this.#topic.begin(this.#id, this.#millis);
      this.#total++;
      count.events++;
    }
    out.raw(this.#opening.bytes, 0, this.#opening.position);
    out.long(this.#total);
    out.long(count.events);
  }

  /** The next record is the last event once more: a truncate goes to every partition. */
  repeat(): void {
    this.#repeats = true;
  }

  /** Events that were published before a restart, and BEGIN with them. */
  published(collection: string, events: number): void {
    this.countOf(collection).events += events;
    this.#total += events;
  }

  /** Whether END was written: not for a transaction without events. */
  end(): boolean {
    if (this.#total === 0) return false;
    const counts = [...this.#counts.values()].filter(({ events }) => events > 0);
    this.#topic.end(this.#id, this.#millis, { total: this.#total, counts });
    return true;
  }
}
