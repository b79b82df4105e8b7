import { z } from 'zod';
import { group } from './group.ts';
import { flag, oneOf, size, text, whole } from './units.ts';

const policies = ['evolve', 'additive', 'freeze', 'stop'] as const;

const allowed = (what: string) =>
  flag().optional().describe(`Whether ${what}; by the \`evolution\` if not given.`);

const allow = group({
  add: allowed('a new column may be added'),
  drop: allowed('a column may go in the source; it stays in the sink'),
  widen: allowed('the type of a column may become a wider one'),
  rename: allowed(
    'a column may get another name; it is added under the new one, the old one stays',
  ),
}).describe('What differs from `evolution` for single kinds of change.');

const sinkTable = group({
  mode: oneOf(['merge', 'append'])
    .optional()
    .describe(
      "`merge` keeps the newest row per key, `append` every change; the sink's if not given.",
    ),
  delete: oneOf(['hard', 'soft'])
    .optional()
    .describe(
      "What a delete does in `merge`: remove the row, or mark it; the sink's if not given.",
    ),
  name: text('a table name')
    .optional()
    .describe('Name in the sink, `table` or `schema.table`; as in the source if not given.'),
  evolution: oneOf(policies)
    .optional()
    .describe("What is done about changed columns; the sink's, `allow` included, if not given."),
  allow: allow.optional(),
});

export const duckdbSink = group({
  kind: z.literal('duckdb').describe('Tables in a DuckDB file.'),
  name: text('a name')
    .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'lower-case letters, digits, - and _, at most 63')
    .prefault('duckdb')
    .describe('Name of the sink in groups, metrics and `status`; must be its own.'),
  path: text('a file').describe('The DuckDB file. Created when missing.'),
  mode: oneOf(['merge', 'append'])
    .prefault('merge')
    .describe('`merge` keeps the newest row per key, `append` every change.'),
  delete: oneOf(['hard', 'soft'])
    .prefault('hard')
    .describe('What a delete does in `merge`: remove the row, or set its `_deleted`.'),
  tables: z
    .record(z.string(), sinkTable, { error: 'tables by name, such as public.orders: {…}' })
    .prefault({})
    .describe('What differs for single tables, by their name in the source.'),
  evolution: oneOf(policies)
    .prefault('evolve')
    .describe(
      'What is done about changed columns: `evolve` follows, `additive` only adds, `freeze` parks the table, `stop` ends the pipeline.',
    ),
  allow: allow.prefault({}),
  batchBytesMax: size()
    .prefault('32MiB')
    .describe('Bytes of records in one transaction of the sink, at most.'),
  batchRowsMax: whole(1, 100_000_000)
    .prefault(100_000)
    .describe('Records in one transaction of the sink, at most.'),
  memoryLimit: size()
    .prefault('256MiB')
    .describe('Memory of DuckDB itself, at most; what does not fit is spilled to disk.'),
  threads: whole(1, 256)
    .optional()
    .describe('Threads of DuckDB; half of the cores, at most 4, if not given.'),
});
