import type { Broker, TopicName } from '../broker/broker.ts';
import { MillraceError } from '../errors.ts';
import type { ParkedTable, Sink } from '../sinks/sink.ts';

/** Something to be done to a sink while nothing is written to it. */
export type TableWork = (sink: Sink, broker: Broker) => Promise<void>;

interface Wish {
  readonly work: TableWork;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/**
 * The tables of a sink that is being written: which are parked, and what is to be done to them. Work is
 * done by the sink's own loop between two subscriptions, when no batch is in hand that an offset moved
 * backwards could make it skip (I4).
 */
export class SinkTables {
  /** Null while the sink is not open: then it is not known. */
  parked: readonly ParkedTable[] | null = null;
  #wishes: Wish[] = [];
  #open = false;
  #turn = new AbortController();

  /** Resolves when the work is done; throws `NOT_RUNNING` if the sink is not open. */
  ask(work: TableWork): Promise<void> {
    if (!this.#open) return Promise.reject(notOpen());
    return new Promise((done, failed) => {
      this.#wishes.push({ work, done, failed });
      this.#turn.abort();
    });
  }

  /** Begins a turn: it lasts until something is to be done, or the signal aborts. */
  turn(signal: AbortSignal): AbortSignal {
    this.#open = true;
    this.#turn = new AbortController();
    if (this.#wishes.length > 0) this.#turn.abort();
    return AbortSignal.any([signal, this.#turn.signal]);
  }

  /** Does what was asked for, and learns which tables are parked now. */
  async serve(sink: Sink, broker: Broker): Promise<void> {
    for (let wish = this.#wishes.shift(); wish !== undefined; wish = this.#wishes.shift()) {
      await wish.work(sink, broker).then(wish.done, wish.failed);
    }
    this.parked = await sink.parked();
  }

  isParked(topic: TopicName): boolean {
    return this.parked?.some((table) => table.topic === topic) === true;
  }

  /** The sink is closed. */
  end(): void {
    this.#open = false;
    this.parked = null;
    for (const { failed } of this.#wishes.splice(0)) failed(notOpen());
  }
}

function notOpen(): MillraceError {
  return new MillraceError('NOT_RUNNING', 'the sink is not open now', {
    expected: 'a sink that runs: see `millrace status`',
  });
}

/** Lets a parked table try again. */
export function resumeTable(topic: TopicName): TableWork {
  return (sink) => sink.resume(topic);
}

/**
 * Drops a table and makes it again from the beginning of its topic. Throws `SINK_GAP`, and changes nothing,
 * if the topic has forgotten its beginning.
 */
export function rebuildTable(topic: TopicName, group: string): TableWork {
  return async (sink, broker) => {
    const { topics } = await broker.describe();
    const offsets = topics.find((found) => found.topic === topic)?.offsets ?? [];
    const forgotten = offsets.findIndex(({ start }) => start > 0);
    if (forgotten >= 0) {
      throw new MillraceError('SINK_GAP', 'the topic no longer holds the beginning of the table', {
        place: `${topic}-${forgotten}`,
        expected: 'offset 0: `topics.changesRetention: never`',
        remedy: 'Take a new snapshot with `millrace run --resnapshot`.',
      });
    }
    const starts = offsets.map(({ start }, partition) => ({ partition, next: start }));
    await sink.rebuild(topic, starts);
    // The ledger decides; this is for what is shown as waiting.
    for (const { partition, next } of starts) await broker.seek(group, { topic, partition }, next);
  };
}
