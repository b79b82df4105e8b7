import type { Broker, TopicName } from '../broker/broker.ts';
import { MillraceError } from '../errors.ts';
import type { ParkedTable, Sink } from '../sinks/sink.ts';

/** Something to be done to a sink while nothing is written to it. */
export type TableWork = (sink: Sink, broker: Broker) => Promise<void>;

interface SinkInUse {
  readonly sink: Sink;
  readonly broker: Broker;
  /** Aborts when the sink is closed. */
  readonly end: AbortController;
}

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
  #open: SinkInUse | null = null;
  #turn = new AbortController();

  /** Resolves when the work is done; throws `NOT_RUNNING` if the sink is not open. */
  ask(work: TableWork): Promise<void> {
    if (this.#open === null) return Promise.reject(notOpen());
    return new Promise((done, failed) => {
      this.#wishes.push({ work, done, failed });
      this.#turn.abort();
    });
  }

  /** The sink that is being written, for what does not disturb that. Throws `NOT_RUNNING`. */
  get open(): Pick<SinkInUse, 'sink' | 'broker'> & { readonly ended: AbortSignal } {
    if (this.#open === null) throw notOpen();
    const { sink, broker, end } = this.#open;
    return { sink, broker, ended: end.signal };
  }

  /** A sink begins to be written. */
  begin(sink: Sink, broker: Broker): void {
    this.#open = { sink, broker, end: new AbortController() };
  }

  /** Begins a turn: it lasts until something is to be done, or the signal aborts. */
  turn(signal: AbortSignal): AbortSignal {
    this.#turn = new AbortController();
    if (this.#wishes.length > 0) this.#turn.abort();
    return AbortSignal.any([signal, this.#turn.signal]);
  }

  /** Does what was asked for, and learns which tables are parked now. */
  async serve(): Promise<void> {
    const { sink, broker } = this.open;
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
    this.#open?.end.abort(notOpen());
    this.#open = null;
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
