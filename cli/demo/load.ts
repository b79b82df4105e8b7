import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { draw, generator, type Action } from './load-actions.ts';

export interface LoadOptions {
  readonly url: string;
  /** Rows changed per second, about. */
  readonly changesPerSecond: number;
  /** Same seed, same sequence of statements; what the server draws at random follows it too. */
  readonly seed: number;
}

/** What the load has committed so far, in rows; those deleted by a cascade are not counted. */
export interface LoadCounts {
  inserts: number;
  updates: number;
  deletes: number;
  keyChanges: number;
  columnsAdded: number;
  transactions: number;
}

/** A steady load on the shop, one transaction after another, until stopped. */
export class ShopLoad implements AsyncDisposable {
  readonly counts: LoadCounts = {
    inserts: 0,
    updates: 0,
    deletes: 0,
    keyChanges: 0,
    columnsAdded: 0,
    transactions: 0,
  };
  readonly #client: Client;
  readonly #random: () => number;
  readonly #changesPerSecond: number;
  #columnWanted = false;
  #stopping = false;
  #ended: Promise<void> = Promise.resolve();
  #failure: Error | null = null;

  private constructor(options: LoadOptions) {
    this.#client = new Client({ connectionString: options.url });
    // A lost connection is in what the next query throws.
    this.#client.on('error', () => undefined);
    this.#random = generator(options.seed);
    this.#changesPerSecond = options.changesPerSecond;
  }

  static async start(options: LoadOptions): Promise<ShopLoad> {
    const load = new ShopLoad(options);
    await load.#client.connect();
    await load.#client.query('SELECT setseed($1)', [(options.seed % 1_000_000) / 1_000_000]);
    load.#ended = load.#run();
    // Whoever stops the load sees the error; nobody may be waiting before that.
    load.#ended.catch((error: unknown) => {
      load.#failure = error instanceof Error ? error : new Error(String(error));
    });
    return load;
  }

  /** Adds a column to `orders`, as a developer would while all goes on. */
  addColumn(): void {
    this.#columnWanted = true;
  }

  /** Throws what has ended the load, if something has. */
  assertRunning(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** Ends it after the transaction in hand; rejects if a statement had failed before. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => undefined);
  }

  async #run(): Promise<void> {
    const began = performance.now();
    let changed = 0;
    try {
      while (!this.#stopping) {
        if (this.#columnWanted) await this.#addColumn();
        changed += await this.#perform(draw(this.#random));
        const ahead = (changed / this.#changesPerSecond) * 1000 - (performance.now() - began);
        if (ahead > 1) await sleep(Math.min(ahead, 100));
      }
    } finally {
      await this.#client.end();
    }
  }

  async #perform(action: Action): Promise<number> {
    const values = action.values(this.#random);
    if (action.rollback === true) {
      await this.#client.query('BEGIN');
      await this.#client.query(action.sql, values);
      await this.#client.query('ROLLBACK');
      return 0;
    }
    const rows = (await this.#client.query(action.sql, values)).rowCount ?? 0;
    this.counts[action.kind] += rows;
    this.counts.transactions++;
    return rows;
  }

  /** The new column is used in the transaction that adds it, so no change before may carry it. */
  async #addColumn(): Promise<void> {
    this.#columnWanted = false;
    const column =
      this.counts.columnsAdded === 0 ? 'gift_message' : `extra_${this.counts.columnsAdded}`;
    await this.#client.query('BEGIN');
    await this.#client.query(`ALTER TABLE orders ADD COLUMN ${column} text`);
    await this.#client.query(`UPDATE orders SET ${column} = 'With love' WHERE id % 50 = 0`);
    await this.#client.query('COMMIT');
    this.counts.columnsAdded++;
    this.counts.transactions++;
  }
}
