import { setTimeout as sleep } from 'node:timers/promises';
import { Client, DatabaseError } from 'pg';
import { generator } from '../../cli/demo/load-actions.ts';
import { statements, type Statement } from './ledger-schema.ts';

const totalWeight = statements.reduce((sum, { weight }) => sum + weight, 0);
/** Two writers that want the same rows: one of them is rolled back, and the ledger with it. */
const expectedErrors = new Set(['40P01', '40001', '23505', '55P03']);

const FLOOD = `INSERT INTO events (body) SELECT ledger.body(true) FROM generate_series(1, 300)`;

export interface LoadOptions {
  readonly url: string;
  readonly seed: number;
  /** Transactions per second of each of the two writers, about. */
  readonly transactionsPerSecond?: number;
  /** Nothing but long rows, as fast as the server takes them. */
  readonly flood?: boolean;
  /** Failures of the server that are part of the test: the writer connects again. */
  readonly serverMayFail?: boolean;
}

/** Two writers at once on the tables of a ledger, until stopped. Every few seconds a column is added. */
export class LedgerLoad implements AsyncDisposable {
  /** How often each kind of statement was committed. */
  readonly committed = new Map<string, number>();
  rolledBack = 0;
  readonly #options: LoadOptions;
  readonly #ended: Promise<unknown>;
  #stopping = false;
  #failure: Error | null = null;
  #columnsWanted = 0;
  #columns = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
    const writers = [0, 1].map((writer) => this.#write(writer));
    this.#ended = Promise.all(writers);
    this.#ended.catch((error: unknown) => {
      this.#failure = new Error('the load has ended', { cause: error });
    });
  }

  /** One of the writers adds a column to `accounts` and uses it, in one transaction. */
  addColumn(): void {
    this.#columnsWanted++;
  }

  /** Throws what ended the load, if something has. */
  assertRunning(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => undefined);
  }

  async #write(writer: number): Promise<void> {
    const random = generator(this.#options.seed * 2 + writer);
    const pauseMs = 1000 / (this.#options.transactionsPerSecond ?? 25);
    while (!this.#stopping) {
      const client = new Client({ connectionString: this.#options.url });
      client.on('error', () => undefined); // It is in what the next query throws.
      try {
        await client.connect();
        await client.query('SELECT setseed($1)', [random()]);
        while (!this.#stopping && this.#options.flood === true) await client.query(FLOOD);
        while (!this.#stopping) {
          await this.#transaction(client, random);
          await sleep(pauseMs * 2 * random());
        }
      } catch (error) {
        if (this.#options.serverMayFail !== true) throw error;
        await sleep(20);
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  }

  async #transaction(client: Client, random: () => number): Promise<void> {
    const kinds: string[] = [];
    await client.query('BEGIN');
    try {
      if (this.#columnsWanted > 0) {
        this.#columnsWanted--;
        const column = `extra_${++this.#columns}`;
        await client.query(`ALTER TABLE accounts ADD COLUMN ${column} int`);
        await client.query(`UPDATE accounts SET ${column} = id WHERE id % 100 = 0`);
        kinds.push('column');
      }
      for (let left = 1 + Math.floor(random() ** 3 * 8); left > 0; left--) {
        const { kind, sql } = draw(random);
        const undone = random() < 0.05;
        if (undone) await client.query('SAVEPOINT undone');
        await client.query(sql);
        if (undone) await client.query('ROLLBACK TO undone');
        else kinds.push(kind);
      }
      const rollback = random() < 0.05;
      await client.query(rollback ? 'ROLLBACK' : 'COMMIT');
      if (rollback) this.rolledBack++;
      else for (const kind of kinds) this.committed.set(kind, (this.committed.get(kind) ?? 0) + 1);
    } catch (error) {
      if (!(error instanceof DatabaseError) || !expectedErrors.has(error.code ?? '')) throw error;
      if (kinds[0] === 'column') {
        this.#columns--;
        this.#columnsWanted++;
      }
      await client.query('ROLLBACK');
      this.rolledBack++;
    }
  }
}

function draw(random: () => number): Statement {
  let left = random() * totalWeight;
  return statements.find(({ weight }) => (left -= weight) < 0) ?? (statements[0] as Statement);
}
