import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareTables, type TableComparison } from '../../cli/verify/tables.ts';
import { componentsOf } from '../../components.ts';
import { parseConfig, type Config } from '../../config.ts';
import { silent } from '../../log.ts';
import { failpoints, type Reach } from '../../runtime/failpoints.ts';
import { openPipeline, type Pipeline } from '../../runtime/run.ts';
import type { TestDatabase, TestPostgres } from './postgres.ts';

/** A step of a workload on one table; steps up to a `commit` are one transaction. */
export type Step =
  | { readonly do: 'put'; readonly id: number; readonly body: string }
  | { readonly do: 'touch' | 'delete'; readonly id: number }
  | { readonly do: 'move'; readonly id: number; readonly to: number }
  | { readonly do: 'truncate' | 'commit' | 'roll back' }
  | { readonly do: 'add column' | 'drop column' | 'rename column' | 'widen column' }
  /** The pipeline crashes at a failpoint, the next time it gets there. */
  | { readonly do: 'crash'; readonly at: number };

const TABLE = 'public.things';
/** Id of the first of the two rows that end every workload. */
const LAST = 1_000_000;
const crashed = new Error('crash');
/** What the type of `n` grows through. */
const WIDTHS = ['int', 'bigint', 'numeric(30,2)'] as const;

/** How the table is defined by now, as far as statements have to know. */
interface Definition {
  /** Columns added so far. */
  readonly added: number;
  readonly renamed: number;
  readonly widened: number;
}

export interface WorkloadTable {
  readonly partitions: number;
  /** Replica identity full: old rows are whole. */
  readonly isFull: boolean;
}

/** A database with one table, and a pipeline from it that runs in this process. */
export class Workload implements AsyncDisposable {
  readonly #database: TestDatabase;
  readonly #folder = mkdtempSync(join(tmpdir(), 'millrace-workload-'));
  readonly #config: Config;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  readonly #life: { pipeline: Pipeline | null } = { pipeline: null };
  #failure: unknown = null;
  #crashAt: string | null = null;
  #defined: Definition = { added: 0, renamed: 0, widened: 0 };
  /** What a roll back leads back to. */
  #committed = this.#defined;
  #open = false;

  private constructor(database: TestDatabase, partitions: number) {
    this.#database = database;
    this.#config = parseConfig(
      `pipeline: workload
broker: { kind: embedded, path: "${this.#folder}", fsync: false }
source: { kind: postgres, url: "${database.url}", tables: [${TABLE}] }
sinks: [{ kind: duckdb, path: "${this.#sinkFile}", threads: 1 }]
partitions: ${partitions}
`,
      { file: 'millrace.yaml', environment: {} },
    );
  }

  /** Without `isFull` updates do not send long values that they leave alone. */
  static async open(
    server: TestPostgres,
    { partitions, isFull }: WorkloadTable,
  ): Promise<Workload> {
    const database = await server.createDatabase();
    await database.query(
      `CREATE TABLE things (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, body text);
       ALTER TABLE things ALTER COLUMN body SET STORAGE EXTERNAL,
         REPLICA IDENTITY ${isFull ? 'FULL' : 'DEFAULT'};
       INSERT INTO things SELECT g, g, repeat('x', g * 700) FROM generate_series(1, 6) g`,
    );
    const workload = new Workload(database, partitions);
    workload.#running = workload.#run();
    return workload;
  }

  async perform(step: Step): Promise<void> {
    if (step.do === 'crash') {
      this.#crashAt = failpoints[step.at] ?? null;
      return;
    }
    const sql = this.#sql(step);
    if (sql === null) return;
    if (!this.#open && step.do !== 'commit' && step.do !== 'roll back') {
      await this.#database.query('BEGIN');
      this.#open = true;
    }
    if (step.do === 'commit' || step.do === 'roll back') this.#open = false;
    if (step.do === 'commit') this.#committed = this.#defined;
    if (step.do === 'roll back') this.#defined = this.#committed;
    await this.#database.query(sql);
  }

  /** Waits until all is applied, stops, and compares. */
  async outcome(): Promise<TableComparison | undefined> {
    if (this.#open) await this.#database.query('COMMIT');
    // The first may come with the snapshot, whose rows the stream still has to overrule; the second is
    // committed when the first has come, so it comes by the stream, after all of it.
    for (const mark of [LAST, LAST + 1]) {
      await this.#database.query(`INSERT INTO things (id) VALUES (${mark})`);
      await this.applied(mark);
    }
    this.#stop.abort();
    await this.#running;
    const [found] = await compareTables({
      source: { url: this.#database.url },
      file: this.#sinkFile,
      tables: [TABLE],
      signal: new AbortController().signal,
    });
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running.catch(() => undefined);
    await this.#database[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #sinkFile(): string {
    return join(this.#folder, 'sink.duckdb');
  }

  #sql(step: Exclude<Step, { do: 'crash' }>): string | null {
    const body = this.#body;
    switch (step.do) {
      case 'put': {
        const bodies = new Map([
          ['short', `'short' || random()`],
          ['long', `(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 80))`],
        ]);
        return `INSERT INTO things (id, ${body}) VALUES (${step.id}, ${bodies.get(step.body) ?? 'NULL'})
                ON CONFLICT (id) DO UPDATE SET ${body} = excluded.${body}, n = things.n + 1`;
      }
      case 'touch':
        return `UPDATE things SET n = n + 1 WHERE id = ${step.id}`;
      case 'delete':
        return `DELETE FROM things WHERE id = ${step.id}`;
      case 'move':
        return `UPDATE things SET id = ${step.to} WHERE id = ${step.id}
                AND NOT EXISTS (SELECT 1 FROM things WHERE id = ${step.to})`;
      case 'truncate':
        return 'TRUNCATE things';
      case 'add column':
      case 'drop column':
      case 'rename column':
      case 'widen column':
        return this.#alter(step.do);
      case 'commit':
        return this.#open ? 'COMMIT' : null;
      case 'roll back':
        return this.#open ? 'ROLLBACK' : null;
    }
  }

  /** The name that the column of long values has by now. */
  get #body(): string {
    return this.#defined.renamed === 0 ? 'body' : `body_${this.#defined.renamed}`;
  }

  #alter(what: `${string} column` & Step['do']): string | null {
    const { added, renamed, widened } = this.#defined;
    switch (what) {
      case 'add column':
        this.#defined = { ...this.#defined, added: added + 1 };
        return `ALTER TABLE things ADD COLUMN extra_${added + 1} text;
                UPDATE things SET extra_${added + 1} = 'new' WHERE id % 2 = 0`;
      case 'drop column':
        return added === 0 ? null : `ALTER TABLE things DROP COLUMN IF EXISTS extra_${added}`;
      case 'rename column': {
        const from = this.#body;
        this.#defined = { ...this.#defined, renamed: renamed + 1 };
        // No event brings the rows under the new name but a change of them.
        return `ALTER TABLE things RENAME COLUMN ${from} TO ${this.#body}; UPDATE things SET n = n`;
      }
      case 'widen column':
        if (WIDTHS[widened + 1] === undefined) return null;
        this.#defined = { ...this.#defined, widened: widened + 1 };
        return `ALTER TABLE things ALTER COLUMN n TYPE ${WIDTHS[widened + 1]}`;
    }
  }

  /** One life after another: what a crash leaves is what the next begins with. */
  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const reach: Reach = (point) => {
      if (point !== this.#crashAt) return;
      this.#crashAt = null;
      throw crashed;
    };
    while (!signal.aborted) {
      const components = componentsOf(this.#config, { environment: {} }, silent);
      try {
        await using pipeline = await openPipeline(this.#config, components, {
          log: silent,
          pid: 1,
          signal,
          reach,
        });
        this.#life.pipeline = pipeline;
        await pipeline.run(signal);
      } catch (error) {
        if (error === crashed) continue;
        this.#failure = error;
        throw error;
      }
    }
  }

  /** Waits until the row is there and no stage has anything left to do. */
  async applied(mark: number): Promise<void> {
    const until = performance.now() + 40_000;
    for (;;) {
      if (this.#failure !== null) throw new Error('the pipeline stopped', { cause: this.#failure });
      const { pipeline } = this.#life;
      const found = await pipeline
        ?.query(`SELECT 1 FROM ${TABLE} WHERE id = ${mark}`)
        .catch(() => null);
      const status = await pipeline?.status().catch(() => null);
      const idle = status?.stages.every((stage) => (stage.behindRecords ?? 0) === 0) === true;
      if (idle && found?.rows.length === 1) return;
      if (performance.now() > until)
        throw new Error(`not applied in time: ${JSON.stringify(status)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
