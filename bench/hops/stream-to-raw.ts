import { benchConfig, topicsFolder } from '../bench-config.ts';
import { folderBytes } from '../disk.ts';
import { timed, type Hop } from '../hop.ts';
import { inRunFolder, prepared } from '../run-folder.ts';
import { openStage } from '../stage-run.ts';
import { changeRows, createRows } from '../workload.ts';

const ROWS = 10_000;

/** The backlog stays in the slot, as the source is never told, so that every run finds the same. */
export const hop: Hop = {
  name: 'stream-to-raw',
  title: 'a backlog of changes: Postgres to the raw topic, durable',
  events: 500_000,
  quickEvents: 2_000,

  async prepare({ url, folder, events, table }) {
    await createRows({ url, table }, ROWS);
    {
      await using source = await openStage(
        benchConfig({ folder: prepared(folder), url }),
        'source',
      );
      await source.work(ROWS);
    }
    await changeRows({ url, table }, ROWS, events);
  },

  run: (context) =>
    inRunFolder(context, async (folder) => {
      const config = benchConfig({ folder, url: context.url });
      const before = folderBytes(topicsFolder(config));
      await using source = await openStage(config, 'source', { acknowledge: false });
      const disk = (): number => folderBytes(topicsFolder(config)) - before;
      return await timed(context.events, () => source.work(context.events), disk);
    }),
};
