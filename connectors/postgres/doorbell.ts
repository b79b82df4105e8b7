/** One waits, others ring; a ring before the wait is not forgotten. */
export class Doorbell {
  #rung = false;
  #open: (() => void) | null = null;

  ring(): void {
    this.#rung = true;
    this.#open?.();
  }

  /** Resolves at the next ring, or when the signal aborts. */
  async heard(signal: AbortSignal): Promise<void> {
    if (!this.#rung && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#open = resolve;
      signal.addEventListener('abort', this.#opened);
      await promise;
      signal.removeEventListener('abort', this.#opened);
      this.#open = null;
    }
    this.#rung = false;
  }

  readonly #opened = (): void => this.#open?.();
}
