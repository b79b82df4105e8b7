import { withClient } from '../workload.ts';
import type { Hop } from '../hop.ts';
import { PipelineRun } from '../pipeline-run.ts';
import { prepared } from '../run-folder.ts';

const ROWS = 10;
/** How often each table has its turn in a run. */
const TURNS = 5;
const tables = 'public.many_*';
const slot = 'bench';

/** Rows are inserted into one table after another, in transactions of a turn of one table each. */
export const hop: Hop = {
  name: 'tables',
  title: 'a backlog spread over a hundred tables: Postgres to DuckDB, all hops (--size tables)',
  events: 100_000,
  quickEvents: 200,
  size: 100,
  quickSize: 4,

  async prepare({ url, folder, size }) {
    await withClient(url, async (client) => {
      for (let table = 1; table <= size; table++) {
        await client.query(
          `CREATE TABLE many_${table} (id bigint PRIMARY KEY, name text NOT NULL, amount numeric(12,2))`,
        );
        await client.query(
          `INSERT INTO many_${table} SELECT n, 'row ' || n, n FROM generate_series(1, ${ROWS}) n`,
        );
      }
    });
    await using pipeline = new PipelineRun({ folder: prepared(folder), url, slot, tables });
    await pipeline.applied(size * ROWS);
  },

  async run({ url, folder, events, size, run, profile }) {
    const place = { folder: prepared(folder), url, slot, tables, profile };
    await using pipeline = new PipelineRun(place);
    await pipeline.idle();
    pipeline.hold();
    const perTurn = Math.ceil(events / size / TURNS);
    await withClient(url, async (client) => {
      for (let turn = 0; turn < TURNS; turn++) {
        const from = (run * TURNS + turn + 1) * 1_000_000;
        for (let table = 1; table <= size; table++) {
          await client.query(
            `INSERT INTO many_${table} SELECT n, 'row ' || n, n % 1000
             FROM generate_series(${from}::bigint, ${from + perTurn - 1}::bigint) n`,
          );
        }
      }
    });
    pipeline.release();
    const inserted = perTurn * TURNS * size;
    await pipeline.applied(inserted);
    return pipeline.measured(inserted);
  },
};
