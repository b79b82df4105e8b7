import type { MessagePort, Transferable, Worker } from 'node:worker_threads';
import { errorMessage, errorOf, type ErrorMessage } from './error-message.ts';

/** What one thread says to the other. Both may call. */
type Message =
  | { readonly kind: 'call'; readonly id: number; readonly name: string; readonly given: unknown }
  | { readonly kind: 'abort'; readonly id: number }
  | { readonly kind: 'done'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly error: ErrorMessage };

/** Answers a call. What it is given was cloned, so nobody else has it. */
export type Answer = (given: never, signal: AbortSignal) => Promise<unknown>;

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

export interface CallOptions {
  /** Memory that goes over to the other thread instead of being copied. */
  readonly transfer?: readonly Transferable[];
  /** Aborts the signal that the other side's answer was given; its answer is still awaited. */
  readonly signal?: AbortSignal | undefined;
}

/** Calls from a thread to another and back: a message for each call, one for its answer. */
export class Calls {
  readonly #port: MessagePort | Worker;
  readonly #answers: Readonly<Record<string, Answer>>;
  readonly #waiting = new Map<number, Waiting>();
  readonly #answering = new Map<number, AbortController>();
  #last = 0;
  #ended: { readonly error: unknown } | null = null;

  constructor(port: MessagePort | Worker, answers: Readonly<Record<string, Answer>>) {
    this.#port = port;
    this.#answers = answers;
    port.on('message', (message: Message) => this.#take(message));
  }

  /** Rejects with what the other side's answer rejected with, code and all. */
  async call<T>(name: string, given: unknown, options: CallOptions = {}): Promise<T> {
    const { transfer = [], signal } = options;
    signal?.throwIfAborted();
    if (this.#ended !== null) throw this.#ended.error;
    const id = ++this.#last;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#waiting.set(id, { resolve, reject });
    const abort = (): void => this.#send({ kind: 'abort', id });
    signal?.addEventListener('abort', abort, { once: true });
    try {
      this.#send({ kind: 'call', id, name, given }, transfer);
      return await promise;
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      this.#waiting.delete(id);
      signal?.removeEventListener('abort', abort);
    }
  }

  /** The other side is gone: whoever waits for it, or will call it, gets this. */
  end(error: unknown): void {
    this.#ended ??= { error };
    for (const { reject } of this.#waiting.values()) reject(error);
  }

  #take(message: Message): void {
    switch (message.kind) {
      case 'call':
        void this.#answer(message);
        return;
      case 'abort':
        this.#answering.get(message.id)?.abort();
        return;
      case 'done':
        this.#waiting.get(message.id)?.resolve(message.value as never);
        return;
      case 'failed':
        this.#waiting.get(message.id)?.reject(errorOf(message.error));
    }
  }

  async #answer({ id, name, given }: Message & { readonly kind: 'call' }): Promise<void> {
    const abort = new AbortController();
    this.#answering.set(id, abort);
    try {
      const answer = this.#answers[name];
      if (answer === undefined) throw new TypeError(`nobody answers ${name}`);
      this.#send({ kind: 'done', id, value: await answer(given as never, abort.signal) });
    } catch (error) {
      this.#send({ kind: 'failed', id, error: errorMessage(error) });
    } finally {
      this.#answering.delete(id);
    }
  }

  #send(message: Message, transfer: readonly Transferable[] = []): void {
    this.#port.postMessage(message, transfer);
  }
}
