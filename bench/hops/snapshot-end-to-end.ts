import { folderBytes } from '../disk.ts';
import type { Hop } from '../hop.ts';
import { PipelineRun } from '../pipeline-run.ts';
import { inRunFolder } from '../run-folder.ts';
import { createRows, dropSlot } from '../workload.ts';

export const hop: Hop = {
  name: 'snapshot-end-to-end',
  title: 'snapshot: Postgres to DuckDB, all hops, from the start of the process',
  events: 1_000_000,
  quickEvents: 2_000,

  prepare: (context) => createRows(context, context.events),

  run: (context) =>
    inRunFolder(context, async (folder) => {
      const { events, url, run, profile } = context;
      const slot = `bench_${run}`;
      try {
        await using pipeline = new PipelineRun({ folder, url, slot, profile });
        await pipeline.applied(events);
        return pipeline.measured(events, () => folderBytes(folder));
      } finally {
        await dropSlot(url, slot);
      }
    }),
};
