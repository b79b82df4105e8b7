import { benchConfig } from '../bench-config.ts';
import { timed, type Hop } from '../hop.ts';
import { inRunFolder, prepared } from '../run-folder.ts';
import { openStage } from '../stage-run.ts';
import { changeRows, createRows } from '../workload.ts';

/** A full run merges 500,000 changes into a table of a million rows. */
const ROWS_PER_CHANGE = 2;

export const hop: Hop = {
  name: 'topic-to-duckdb',
  title: 'DuckDB sink: .changes merged into a table twice as large, durable',
  events: 500_000,
  quickEvents: 2_000,

  async prepare({ url, folder, events, table }) {
    const rows = events * ROWS_PER_CHANGE;
    const config = benchConfig({ folder: prepared(folder), url });
    const advance = async (kind: 'source' | 'processor' | 'sink', changes?: number) => {
      await using stage = await openStage(config, kind);
      await stage.work(changes ?? (await stage.behind()));
    };
    await createRows({ url, table }, rows);
    await advance('source', rows);
    await advance('processor');
    await advance('sink', rows);
    await changeRows({ url, table }, rows, events);
    await advance('source', events);
    await advance('processor');
  },

  run: (context) =>
    inRunFolder(context, async (folder) => {
      await using sink = await openStage(benchConfig({ folder, url: context.url }), 'sink');
      return await timed(context.events, () => sink.work(context.events));
    }),
};
