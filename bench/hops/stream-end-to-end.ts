import { folderBytes } from '../disk.ts';
import type { Hop } from '../hop.ts';
import { PipelineRun } from '../pipeline-run.ts';
import { prepared } from '../run-folder.ts';
import { changeRows, createRows, lastId } from '../workload.ts';

/** Each run adds a backlog while the pipeline is held still; the table grows by half of it. */
export const hop: Hop = {
  name: 'stream-end-to-end',
  title: 'a backlog of changes: Postgres to DuckDB, all hops',
  events: 300_000,
  quickEvents: 2_000,

  async prepare({ url, folder, events, table }) {
    await createRows({ url, table }, events);
    await using pipeline = new PipelineRun({ folder: prepared(folder), url });
    await pipeline.applied(events);
  },

  async run({ url, folder, events, profile, table }) {
    await using pipeline = new PipelineRun({ folder: prepared(folder), url, profile });
    await pipeline.idle();
    const before = folderBytes(prepared(folder));
    pipeline.hold();
    await changeRows({ url, table }, await lastId(url), events);
    pipeline.release();
    await pipeline.applied(events);
    return pipeline.measured(events, () => Math.max(0, folderBytes(prepared(folder)) - before));
  },
};
