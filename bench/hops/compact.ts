import { benchConfig, topicsFolder } from '../bench-config.ts';
import { folderBytes } from '../disk.ts';
import { timed, type Hop } from '../hop.ts';
import { inRunFolder, prepared } from '../run-folder.ts';
import { openStage } from '../stage-run.ts';
import { changeRows, createRows } from '../workload.ts';

/** Half of the events are a snapshot, half are changes of it and of new rows; tombstones count too. */
export const hop: Hop = {
  name: 'compact',
  title: 'compact: raw topic to .changes and .latest, durable, from an empty state',
  events: 500_000,
  quickEvents: 2_000,

  async prepare({ url, folder, events, table }) {
    const rows = Math.floor(events / 2);
    const config = benchConfig({ folder: prepared(folder), url });
    await createRows({ url, table }, rows);
    {
      await using source = await openStage(config, 'source');
      await source.work(rows);
    }
    await changeRows({ url, table }, rows, events - rows);
    await using source = await openStage(config, 'source');
    await source.work(events - rows);
  },

  run: (context) =>
    inRunFolder(context, async (folder) => {
      const config = benchConfig({ folder, url: context.url });
      const before = folderBytes(topicsFolder(config));
      await using compact = await openStage(config, 'processor');
      const records = await compact.behind();
      const disk = (): number => folderBytes(topicsFolder(config)) - before;
      return await timed(records, () => compact.work(records), disk);
    }),
};
