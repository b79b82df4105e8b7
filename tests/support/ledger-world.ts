import { deepEqual, equal } from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { count } from '../../cli/figures.ts';
import { comparisonLines } from '../../cli/verify/lines.ts';
import { compareTables, type TableComparison } from '../../cli/verify/tables.ts';
import { componentsOf } from '../../components.ts';
import { parseConfig } from '../../config.ts';
import { silent } from '../../log.ts';
import type { Components } from '../../runtime/components.ts';
import { ledgerSchema, ledgerTables } from './ledger-schema.ts';
import { ledgerVerdict, type ChangesVerdict } from './ledger-verdict.ts';
import type { TestDatabase, TestPostgres } from './postgres.ts';
import { RunProcess, type RunOptions } from './run-process.ts';

export interface WorldOptions {
  /** Where the source is reached, if not at the database itself: a proxy. */
  readonly sourceUrl?: (database: TestDatabase) => string;
  /** Folders for the broker and for the DuckDB file, if not the world's own. */
  readonly brokerIn?: string;
  readonly sinkIn?: string;
  /** One more line of the source's configuration. */
  readonly sourceMore?: string;
  /** More options of the sink, such as `threads: 1`. */
  readonly sinkMore?: string;
  /** Nodes of a cluster that has the topics, if they are not in a file. */
  readonly kafka?: readonly string[];
}

const PARTITIONS = 4;

/** What topics and sink hold, against what was committed. */
export interface Verdict extends ChangesVerdict {
  readonly tables: readonly TableComparison[];
}

/** A database with a ledger, and a folder with the configuration of a pipeline from it. */
export class LedgerWorld implements AsyncDisposable {
  readonly database: TestDatabase;
  readonly folder: string;
  readonly brokerFolder: string;
  readonly sinkFile: string;
  #process: RunProcess | null = null;

  private constructor(database: TestDatabase, options: WorldOptions) {
    this.database = database;
    this.folder = mkdtempSync(join(tmpdir(), 'millrace-ledger-'));
    this.brokerFolder = join(options.brokerIn ?? this.folder, 'broker');
    this.sinkFile = join(options.sinkIn ?? this.folder, 'sink.duckdb');
    writeFileSync(
      join(this.folder, 'millrace.yaml'),
      `pipeline: ledger
broker: ${brokerYaml(this.brokerFolder, options.kafka)}
source:
  kind: postgres
  url: ${options.sourceUrl?.(database) ?? database.url}
  tables: [${ledgerTables.join(', ')}]
  ${options.sourceMore ?? ''}
sinks:
  - { kind: duckdb, path: ${this.sinkFile}, ${options.sinkMore === undefined ? '' : `${options.sinkMore}, `}tables: { public.events: { mode: append } } }
partitions: ${PARTITIONS}
http: { port: 0 }
`,
    );
  }

  static async open(server: TestPostgres, options: WorldOptions = {}): Promise<LedgerWorld> {
    const database = await server.createDatabase();
    await database.query(ledgerSchema);
    return new LedgerWorld(database, options);
  }

  /** Starts the pipeline; the one before must have ended. */
  async start(options: RunOptions = {}): Promise<RunProcess> {
    this.#process = await RunProcess.start(this, options);
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
    await using client = await connected(this.database.url);
    const { rows } = await client.query<{ id: number }>(
      `INSERT INTO accounts (id, amount) VALUES (nextval('ledger.ids'), 0) RETURNING id`,
    );
    const sql = `SELECT 1 FROM public.accounts WHERE id = ${rows[0]?.id}`;
    await this.#until(async () => {
      const remote = await this.process.remote();
      if (remote === null) return false;
      const found = await remote.query(sql, { sink: 'duckdb', rowsMax: 1 }).catch(() => null);
      const status = await remote.status().catch(() => null);
      const idle = status?.stages.every(({ behindRecords }) => (behindRecords ?? 0) === 0);
      return found?.rows.length === 1 && idle === true;
    }, timeoutMs);
  }

  /** Waits until a query has a row in the sink. */
  async applied(sql: string): Promise<void> {
    await this.#until(async () => {
      const remote = await this.process.remote();
      const found = await remote?.query(sql, { sink: 'duckdb', rowsMax: 1 }).catch(() => null);
      return found?.rows.length === 1;
    });
  }

  /** Drains, stops in order, and holds topics and tables against what was committed. */
  async verdict(drainTimeoutMs?: number): Promise<Verdict> {
    await this.drained(drainTimeoutMs);
    this.process.send('SIGTERM');
    deepEqual(await this.process.exit, { code: 0, signal: null }, this.process.said);
    return await this.judge();
  }

  /** The same of a pipeline that has ended by itself. */
  async judge(): Promise<Verdict> {
    const tables = await compareTables({
      source: { url: this.database.url },
      file: this.sinkFile,
      tables: ledgerTables,
      signal: new AbortController().signal,
    });
    deepEqual(
      tables.filter((table) => !table.equal),
      [],
    );
    await using client = await connected(this.database.url);
    await using opened = await this.openBroker();
    const verdict = await ledgerVerdict(client, {
      opened,
      pipeline: 'ledger',
      partitions: PARTITIONS,
    });
    deepEqual(verdict.wrong, []);
    equal(verdict.delivered, verdict.committed);
    const found = { ...verdict, tables };
    process.stdout.write(`${verdictLines(found).join('\n')}\n`);
    return found;
  }

  /** The topics of a pipeline that does not run. */
  async openBroker(): ReturnType<Components['openBroker']> {
    const file = join(this.folder, 'millrace.yaml');
    const config = parseConfig(readFileSync(file, 'utf8'), { file, environment: {} });
    return componentsOf(config, { environment: {} }, silent).openBroker();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]();
    await this.database[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #until(condition: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
    const until = performance.now() + timeoutMs;
    while (!(await condition())) {
      if (this.process.hasEnded) throw new Error(`the pipeline has ended:\n${this.process.said}`);
      if (performance.now() > until) {
        const status = JSON.stringify(await this.process.status());
        throw new Error(`not in ${timeoutMs} ms: ${status}\n${this.process.said}`);
      }
      await sleep(50);
    }
  }
}

function verdictLines({ committed, delivered, snapshotRows, tables }: Verdict): string[] {
  return [
    `ledger: ${count(committed)} committed changes; .changes: ${count(delivered)}, each once and in order per key, after ${count(snapshotRows)} rows of the snapshot`,
    ...comparisonLines(tables),
  ];
}

/** Short times, so that what a killed process has left is soon nobody's. */
function brokerYaml(path: string, kafka: readonly string[] | undefined): string {
  if (kafka === undefined) return `{ kind: embedded, path: ${path} }`;
  const times = 'sessionTimeout: 2s, transactionTimeout: 10s';
  return `{ kind: kafka, path: ${path}, brokers: [${kafka.map((one) => `"${one}"`).join(', ')}], ${times} }`;
}

/** A connection of its own: the server may have been away since the last. */
async function connected(url: string): Promise<Client & AsyncDisposable> {
  const client = new Client({ connectionString: url });
  client.on('error', () => {}); // a server that is stopped under it is no news
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}
