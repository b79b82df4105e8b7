import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { compareTables } from '../../cli/verify/tables.ts';
import { ledgerSchema, ledgerTables } from './ledger-schema.ts';
import { ledgerVerdict, type LedgerVerdict } from './ledger-verdict.ts';
import type { TestDatabase, TestPostgres } from './postgres.ts';
import { RunProcess } from './run-process.ts';

export interface WorldOptions {
  /** Where the source is reached, if not at the database itself: a proxy. */
  readonly sourceUrl?: (database: TestDatabase) => string;
  readonly brokerPath?: string;
  readonly sinkPath?: string;
  /** More lines of the configuration. */
  readonly yaml?: string;
}

const PARTITIONS = 4;

/** A database with a ledger, and a folder with the configuration of a pipeline from it. */
export class LedgerWorld implements AsyncDisposable {
  readonly database: TestDatabase;
  readonly folder: string;
  readonly #sinkPath: string;
  #process: RunProcess | null = null;

  private constructor(database: TestDatabase, options: WorldOptions) {
    this.database = database;
    this.folder = mkdtempSync(join(tmpdir(), 'millrace-ledger-'));
    this.#sinkPath = options.sinkPath ?? join(this.folder, 'sink.duckdb');
    writeFileSync(
      join(this.folder, 'millrace.yaml'),
      `pipeline: ledger
broker: { kind: embedded, path: ${options.brokerPath ?? './broker'} }
source:
  kind: postgres
  url: ${options.sourceUrl?.(database) ?? database.url}
  tables: [${ledgerTables.join(', ')}]
sinks:
  - { kind: duckdb, path: ${this.#sinkPath}, tables: { public.events: { mode: append } } }
partitions: ${PARTITIONS}
http: { port: 0 }
${options.yaml ?? ''}`,
    );
  }

  static async open(server: TestPostgres, options: WorldOptions = {}): Promise<LedgerWorld> {
    const database = await server.createDatabase();
    await database.query(ledgerSchema);
    return new LedgerWorld(database, options);
  }

  /** Starts the pipeline; the one before must have ended. */
  async start(options: Parameters<typeof RunProcess.start>[1] = {}): Promise<RunProcess> {
    this.#process = await RunProcess.start(this.folder, options);
    return this.#process;
  }

  get process(): RunProcess {
    if (this.#process === null) throw new Error('no pipeline was started');
    return this.#process;
  }

  /**
   * Waits until changes committed from now on come by the stream: a first part of the snapshot is
   * durable, and with it the position that the slot has to give them from.
   */
  async captured(): Promise<void> {
    await this.#until(async () => {
      const status = await this.process.status();
      return status?.tables.some(({ topics }) => (topics[0]?.records ?? 0) > 0) === true;
    });
  }

  /** Waits until everything committed before the call is in the sink. */
  async drained(timeoutMs = 60_000): Promise<void> {
    const [mark] = await this.database.query(
      `INSERT INTO accounts (id, amount) VALUES (nextval('ledger.ids'), 0) RETURNING id`,
    );
    const sql = `SELECT 1 FROM public.accounts WHERE id = ${String(mark?.['id'])}`;
    await this.#until(async () => {
      const remote = await this.process.remote();
      if (remote === null) return false;
      const found = await remote.query(sql, { sink: 'duckdb', rowsMax: 1 }).catch(() => null);
      const status = await remote.status().catch(() => null);
      const idle = status?.stages.every(({ behindRecords }) => (behindRecords ?? 0) === 0);
      return found?.rows.length === 1 && idle === true;
    }, timeoutMs);
  }

  /** Drains, stops in order, and holds topics and tables against what was committed. */
  async verdict(): Promise<LedgerVerdict> {
    await this.drained();
    this.process.send('SIGTERM');
    expect(await this.process.exit, this.process.said).toEqual({ code: 0, signal: null });
    return await this.judge();
  }

  /** The same of a pipeline that has ended by itself. */
  async judge(): Promise<LedgerVerdict> {
    const tables = await compareTables({
      url: this.database.url,
      file: this.#sinkPath,
      tables: ledgerTables,
      signal: new AbortController().signal,
    });
    expect(tables.filter(({ equal }) => !equal)).toEqual([]);
    const verdict = await ledgerVerdict(this.database.client, {
      brokerFolder: join(this.folder, 'broker'),
      pipeline: 'ledger',
      partitions: PARTITIONS,
    });
    expect(verdict.wrong).toEqual([]);
    expect(verdict.delivered).toBe(verdict.committed);
    return verdict;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]();
    await this.database[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #until(condition: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
    const until = Date.now() + timeoutMs;
    while (!(await condition())) {
      if (this.process.hasEnded) throw new Error(`the pipeline has ended:\n${this.process.said}`);
      if (Date.now() > until) {
        const status = JSON.stringify(await this.process.status());
        throw new Error(`not in ${timeoutMs} ms: ${status}\n${this.process.said}`);
      }
      await sleep(50);
    }
  }
}
