import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, onTestFinished } from 'vitest';
import { runCli } from '../../cli/program.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from './postgres.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'main.ts');

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** For `expect.poll`: how long a pipeline may take, on a busy machine. */
export const poll = { timeout: 30_000, interval: 50 };

const noKill = (): void => {};

/** Each test has a database with three tables and a folder of its own to type commands in. */
export class Shell {
  #postgres: TestPostgres | undefined;
  #database: TestDatabase | undefined;
  #folder = '';

  constructor() {
    beforeAll(async () => {
      this.#postgres = await startPostgres();
    });
    afterAll(async () => {
      await this.#postgres?.[Symbol.asyncDispose]();
    });
    beforeEach(() => this.#begin());
  }

  get folder(): string {
    return this.#folder;
  }

  get database(): TestDatabase {
    if (this.#database === undefined) throw new Error('only inside a test');
    return this.#database;
  }

  /** In this process: what `main.ts` does, but for the process itself. */
  async millrace(...args: readonly string[]): Promise<Ended> {
    const { cwd, env } = this.surroundings();
    let out = '';
    let err = '';
    const terminal = {
      out: (text: string) => void (out += text),
      err: (text: string) => void (err += text),
      outIsTTY: false,
      errIsTTY: false,
      columns: 80,
    };
    const { signal } = new AbortController();
    const context = {
      terminal,
      environment: env,
      folder: cwd,
      pid: process.pid,
      signal,
      kill: noKill,
    };
    return { code: await runCli(args, context), out, err };
  }

  /** In a process of its own. */
  spawned(...args: readonly string[]): Promise<Ended> {
    return new Promise((resolve) => {
      execFile(process.execPath, [MAIN, ...args], this.surroundings(), (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code), out, err });
      });
    });
  }

  async json<T>(...args: readonly string[]): Promise<T> {
    const { code, out, err } = await this.millrace(...args, '--json');
    if (code !== 0 || err !== '')
      throw new Error(`millrace ${args.join(' ')}: ${code}, ${out}${err}`);
    return JSON.parse(out) as T;
  }

  async rows(sql: string): Promise<unknown[][]> {
    return (await this.json<{ rows: unknown[][] }>('query', sql)).rows;
  }

  /** The same, for polling: null while there is no answer. */
  async rowsSoon(sql: string): Promise<unknown[][] | null> {
    const { code, out } = await this.millrace('query', sql, '--json');
    return code === 0 ? (JSON.parse(out) as { rows: unknown[][] }).rows : null;
  }

  configured(more = ''): void {
    const text = `pipeline: shop
source:
  kind: postgres
  url: \${DATABASE_URL}
  tables: [public.customers, "public.order lines"]
sinks:
  - kind: duckdb
    path: ./shop.duckdb
    tables:
      public.order lines: { delete: soft, name: lines }
partitions: 2
http: { port: 0 }
log: { level: error }
`;
    writeFileSync(join(this.#folder, 'millrace.yaml'), text + more);
  }

  surroundings(more: NodeJS.ProcessEnv = {}): { cwd: string; env: NodeJS.ProcessEnv } {
    const env = { ...process.env, DATABASE_URL: this.database.url, ...more };
    return { cwd: this.#folder, env };
  }

  run(more: NodeJS.ProcessEnv = {}): Running {
    return new Running(this.surroundings(more));
  }

  async #begin(): Promise<void> {
    const database = await this.#postgres?.createDatabase();
    const folder = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
    this.#database = database;
    this.#folder = folder;
    onTestFinished(async () => {
      await database?.[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    });
    await this.database.query(`
      CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
      CREATE TABLE "order lines"
        ("order" int, line int, amount numeric(12,2), PRIMARY KEY ("order", line));
      CREATE TABLE visits (at timestamptz);
      INSERT INTO customers SELECT n, 'customer ' || n FROM generate_series(1, 500) n;
      INSERT INTO "order lines" SELECT n, 1, n * 1.25 FROM generate_series(1, 700) n;
      ANALYZE`);
  }
}

/** A pipeline in a process of its own; killed if the test has not ended it. */
export class Running {
  readonly process: ChildProcess;
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
  /** Of its console, once it has started. */
  readonly url: Promise<string>;
  out = '';
  err = '';

  constructor(surroundings: { cwd: string; env: NodeJS.ProcessEnv }) {
    this.process = spawn(process.execPath, [MAIN, 'run', '--json'], surroundings);
    const { promise: url, resolve, reject } = Promise.withResolvers<string>();
    this.url = url;
    url.catch(() => {}); // A test may wait for the end instead.
    this.process.stdout?.on('data', (data: Buffer) => {
      this.out += data.toString();
      const [line = ''] = this.out.split('\n');
      if (this.out.includes('\n')) resolve((JSON.parse(line) as { url: string }).url);
    });
    this.process.stderr?.on('data', (data: Buffer) => (this.err += data.toString()));
    this.ended = new Promise((ended) => {
      this.process.on('exit', (code, signal) => {
        reject(new Error(`it ended first: ${this.out}${this.err}`));
        ended({ code, signal });
      });
    });
    onTestFinished(async () => {
      this.process.kill('SIGKILL');
      await this.ended;
    });
  }

  async get(path: string): Promise<{ status: number; body: string }> {
    const response = await fetch(`${await this.url}${path}`);
    return { status: response.status, body: await response.text() };
  }

  /** Asks it to stop; resolves with how it ended and what it complained of. */
  async stop(): Promise<{ code: number | null; signal: string | null; err: string }> {
    this.process.kill('SIGTERM');
    return { ...(await this.ended), err: this.err };
  }
}

/** How a stop ends that went well. */
export const stopped = { code: 0, signal: null, err: '' };
