import { openCompact } from '../compact-stage.ts';
import { timed, type Hop } from '../hop.ts';
import { inRunFolder, prepared } from '../run-folder.ts';
import { publishRows, range } from '../synthetic-rows.ts';

/** The events of a run are the keys there are. */
export const hop: Hop = {
  name: 'restore',
  title: 'compact: the state of 5 million keys rebuilt from .latest (--size keys)',
  events: 5_000_000,
  quickEvents: 2_000,
  size: 5_000_000,
  quickSize: 2_000,

  async prepare({ url, folder, size }) {
    await using stage = await openCompact({ folder: prepared(folder), url });
    await publishRows(stage.broker, stage.latest, { ids: range(0, size), op: 'r', version: 1 });
  },

  run: (context) =>
    inRunFolder(context, async (folder) => {
      await using stage = await openCompact({ folder, url: context.url });
      return await timed(context.size, () => stage.restore());
    }),
};
