const SECONDS = 3;

/** Events per second over the last three seconds, in buckets of one second. `now` must not go back. */
export class Rate {
  readonly #buckets = new Float64Array(SECONDS + 1);
  readonly #now: () => number;
  readonly #startedAt: number;
  #second: number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#startedAt = now();
    this.#second = Math.floor(this.#startedAt / 1000);
  }

  add(count: number): void {
    this.#advance();
    const bucket = this.#second % this.#buckets.length;
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + count;
  }

  perSecond(): number {
    this.#advance();
    let sum = 0;
    for (const bucket of this.#buckets) sum += bucket;
    // The running second is only partly over.
    const window = SECONDS + (this.#now() % 1000) / 1000;
    return sum / Math.min(window, Math.max(1, (this.#now() - this.#startedAt) / 1000));
  }

  #advance(): void {
    const second = Math.floor(this.#now() / 1000);
    const passed = Math.min(second - this.#second, this.#buckets.length);
    for (let step = 1; step <= passed; step++) {
      this.#buckets[(this.#second + step) % this.#buckets.length] = 0;
    }
    if (passed > 0) this.#second = second;
  }
}
