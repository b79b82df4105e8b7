import { openCompact } from '../compact-stage.ts';
import { timed, type Hop } from '../hop.ts';
import { inRunFolder, prepared } from '../run-folder.ts';
import { publishRows, range, scattered } from '../synthetic-rows.ts';

export const hop: Hop = {
  name: 'keys',
  title: 'compact: updates scattered over a million keys that are known (--size keys)',
  events: 500_000,
  quickEvents: 2_000,
  size: 1_000_000,
  quickSize: 2_000,

  async prepare({ url, folder, size, events }) {
    await using stage = await openCompact({ folder: prepared(folder), url });
    const { broker, latest, raw } = stage;
    await publishRows(broker, latest, { ids: range(0, size), op: 'r', version: 1 });
    await publishRows(broker, raw, { ids: scattered(size, events), op: 'u', version: size + 1 });
  },

  run: (context) =>
    inRunFolder(context, async (folder) => {
      await using stage = await openCompact({ folder, url: context.url });
      await stage.restore();
      return await timed(context.events, () => stage.work(context.events));
    }),
};
