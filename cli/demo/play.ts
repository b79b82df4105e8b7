import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { compareTables, type TableComparison } from '../verify/tables.ts';
import { count } from '../figures.ts';
import { rows, type Audience } from './audience.ts';
import { sinkFile, writeConfig } from './demo-folder.ts';
import { drained } from './drained.ts';
import { ShopLoad, type LoadCounts } from './load.ts';
import { PipelineProcess } from './pipeline-process.ts';
import { startPostgres, type EmbeddedPostgres } from './postgres.ts';
import { createShop, shopTables, type ShopSize } from './shop.ts';

export interface PlayOptions {
  /** Empty at first; ours until it is removed. */
  readonly folder: string;
  /** How long the load goes on. */
  readonly seconds: number;
  readonly changesPerSecond: number;
  readonly size: ShopSize;
  readonly seed: number;
  /** When the pipeline is killed and started again, in ms since the load began, ascending. */
  readonly killsAtMs: readonly number[];
  /** When a column is added. */
  readonly columnsAtMs: readonly number[];
  /** Leave the database running. */
  readonly keep: boolean;
  readonly audience: Audience;
  readonly signal: AbortSignal;
}

export interface PlayResult {
  readonly url: string;
  readonly postgresPid: number;
  readonly load: Readonly<LoadCounts>;
  readonly kills: number;
  /** False if the sink had not caught up in time; the tables differ then. */
  readonly drained: boolean;
  readonly tables: readonly TableComparison[];
  readonly equal: boolean;
}

const TICK_MS = 200;
const DRAIN_TIMEOUT_MS = 25_000;

/** A shop under load, its pipeline killed on the way, and the proof that nothing was lost or doubled. */
export async function play(options: PlayOptions): Promise<PlayResult> {
  const { folder, audience, signal } = options;
  await using postgres = await startPostgres(folder);
  const client = new Client({ connectionString: postgres.url });
  await client.connect();
  await using stack = new AsyncDisposableStack();
  stack.defer(() => client.end());
  await createShop(client, options.size);
  signal.throwIfAborted();
  audience.event(
    `Postgres runs on port ${postgres.port}, with a small shop of ${shopTables.length} tables`,
  );
  writeConfig(folder, postgres.url);

  await using act = await underLoad(postgres, options);
  await act.load.stop();
  audience.event(`the load has ended: ${loadLine(act.load.counts)}`);
  const complete = await drained({
    client,
    pipeline: act.pipeline,
    timeoutMs: DRAIN_TIMEOUT_MS,
    signal,
    watch: (status) => audience.live(act.load.counts, status),
  });
  audience.event(complete ? 'the sink has everything' : 'the sink has not caught up in time');
  await act.pipeline.stop();
  const tables = await compareTables({
    source: { url: postgres.url },
    file: sinkFile(folder),
    tables: shopTables,
    signal,
  });
  if (options.keep) postgres.leave();
  return {
    url: postgres.url,
    postgresPid: postgres.pid,
    load: act.load.counts,
    kills: options.killsAtMs.length,
    drained: complete,
    tables,
    equal: tables.every(({ equal }) => equal),
  };
}

interface Act extends AsyncDisposable {
  readonly load: ShopLoad;
  /** The pipeline process that runs now. */
  readonly pipeline: PipelineProcess;
}

/** Starts load and pipeline together, and kills the pipeline when it is time, until the load's end. */
async function underLoad(postgres: EmbeddedPostgres, options: PlayOptions): Promise<Act> {
  const { audience, folder, signal } = options;
  const load = await ShopLoad.start({ ...options, url: postgres.url });
  let pipeline = await PipelineProcess.start(folder);
  const end = async (): Promise<void> => {
    await pipeline[Symbol.asyncDispose]();
    await load[Symbol.asyncDispose]();
  };
  const began = performance.now();
  audience.event(`load and pipeline (process ${pipeline.pid}) have started`);
  const [kills, columns] = [[...options.killsAtMs], [...options.columnsAtMs]];
  try {
    for (;;) {
      const elapsed = performance.now() - began;
      if (elapsed >= options.seconds * 1000) break;
      if ((columns[0] ?? Infinity) <= elapsed) {
        columns.shift();
        load.addColumn();
        audience.event('a column is added to public.orders');
      }
      if ((kills[0] ?? Infinity) <= elapsed) {
        kills.shift();
        const killed = pipeline.pid;
        await pipeline.kill();
        pipeline = await PipelineProcess.start(folder);
        audience.event(
          `SIGKILL: the pipeline (process ${killed}) is gone; ${pipeline.pid} takes over`,
        );
      }
      load.assertRunning();
      audience.live(load.counts, await pipeline.status(signal));
      const next = Math.min(kills[0] ?? Infinity, columns[0] ?? Infinity, options.seconds * 1000);
      const wait = Math.min(TICK_MS, next - (performance.now() - began));
      if (wait > 0) await sleep(wait, undefined, { signal });
    }
  } catch (error) {
    await end();
    throw error;
  }
  return { load, pipeline, [Symbol.asyncDispose]: end };
}

function loadLine(counts: Readonly<LoadCounts>): string {
  return (
    `${count(rows(counts))} changes (${count(counts.inserts)} inserts, ${count(counts.updates)} updates, ` +
    `${count(counts.deletes)} deletes, ${count(counts.keyChanges)} changed keys) ` +
    `in ${count(counts.transactions)} transactions`
  );
}
