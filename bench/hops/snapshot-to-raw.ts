import { benchConfig, topicsFolder } from '../bench-config.ts';
import { folderBytes } from '../disk.ts';
import { timed, type Hop } from '../hop.ts';
import { inRunFolder } from '../run-folder.ts';
import { openStage } from '../stage-run.ts';
import { createRows, dropSlot } from '../workload.ts';

export const hop: Hop = {
  name: 'snapshot-to-raw',
  title: 'snapshot of a table: Postgres to its raw topic, durable',
  events: 1_000_000,
  quickEvents: 2_000,

  prepare: (context) => createRows(context, context.events),

  run: (context) =>
    inRunFolder(context, async (folder) => {
      const { events, url, run } = context;
      const slot = `bench_${run}`;
      const config = benchConfig({ folder, url, slot });
      try {
        await using source = await openStage(config, 'source');
        const disk = (): number => folderBytes(topicsFolder(config));
        return await timed(events, () => source.work(events), disk);
      } finally {
        await dropSlot(url, slot);
      }
    }),
};
