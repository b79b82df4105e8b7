/** A wake-up that is not lost if it comes before the wait. */
export class Wake implements Disposable {
  readonly #signal: AbortSignal;
  readonly #wake = (): void => this.wake();
  #pending = false;
  #resolve: (() => void) | null = null;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', this.#wake);
  }

  wake(): void {
    this.#pending = true;
    this.#resolve?.();
  }

  /** Resolves after `msMax` at the latest, unless that is null. */
  async woken(msMax: number | null): Promise<void> {
    if (!this.#pending && !this.#signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#resolve = resolve;
      const timer = msMax === null ? undefined : setTimeout(resolve, msMax);
      await promise;
      clearTimeout(timer);
      this.#resolve = null;
    }
    this.#pending = false;
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener('abort', this.#wake);
  }
}
