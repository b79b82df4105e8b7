import { setTimeout as sleep } from 'node:timers/promises';
import type { Hop } from '../hop.ts';
import { PipelineRun } from '../pipeline-run.ts';
import { prepared } from '../run-folder.ts';
import { createRows, insertRow, withClient } from '../workload.ts';

const ROWS = 10_000;
/** Between two changes, so that each is alone. */
const PAUSE_MS = 50;

/** From the answer to COMMIT to the first query of DuckDB that sees the row; queries follow each other. */
export const hop: Hop = {
  name: 'latency',
  title: 'a lone change: committed to visible in DuckDB, all hops, defaults',
  events: 200,
  quickEvents: 5,

  async prepare({ url, folder, table }) {
    await createRows({ url, table }, ROWS);
    await using pipeline = new PipelineRun({ folder: prepared(folder), url });
    await pipeline.applied(ROWS);
  },

  async run({ url, folder, events, run, profile, table }) {
    await using pipeline = new PipelineRun({ folder: prepared(folder), url, profile });
    const remote = await pipeline.remote();
    const latenciesMs: number[] = [];
    await withClient(url, async (client) => {
      for (let at = 0; at <= events; at++) {
        const id = 1_000_000_000 + run * 1_000_000 + at;
        await insertRow(client, table, id);
        const committed = performance.now();
        const query = `SELECT id FROM public.events WHERE id = ${id}`;
        while ((await remote.query(query, { sink: 'duckdb', rowsMax: 1 })).rows.length === 0);
        // The first waits for the pipeline's start.
        if (at > 0) latenciesMs.push(performance.now() - committed);
        await sleep(PAUSE_MS);
      }
    });
    return { ...pipeline.measured(events), latenciesMs };
  },
};
