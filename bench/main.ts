import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { measure, type BenchOptions } from './harness.ts';
import type { Hop } from './hop.ts';
import { findHop, hopNames } from './hops.ts';
import { hottest } from './profile.ts';
import { line, table } from './report.ts';
import { tableKind, tableKinds } from './tables.ts';

const usage = `npm run bench -- [hop …] [--quick] [--seconds N] [--events N]
                    [--table KIND] [--size N] [--profile FOLDER]

  hop        one or more of: ${hopNames.join(', ')}; all without one
  --quick    one short run of each, to see that it works
  --seconds  go on with counted runs for this long (there are at least five)
  --events   rows or changes of a run
  --table    what is moved: ${tableKinds.join(', ')}
  --size     keys or tables that there are before, for the hops about growth: keys, restore, tables
  --profile  write a CPU profile of each process under test there, and print where its time went`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '0' },
    events: { type: 'string' },
    table: { type: 'string', default: 'orders' },
    size: { type: 'string' },
    profile: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) console.log(usage);
else await run();

async function run(): Promise<void> {
  const options: BenchOptions = {
    quick: values.quick,
    seconds: Number(values.seconds),
    ...(values.events === undefined ? {} : { events: Number(values.events) }),
    table: tableKind(values.table),
    ...(values.size === undefined ? {} : { size: Number(values.size) }),
    profile: values.profile === undefined ? null : resolve(values.profile),
  };
  const rows: string[][] = [];
  for (const name of positionals.length > 0 ? positionals : hopNames) {
    const hop = await findHop(name);
    console.error(`${hop.name}: ${hop.title}`);
    rows.push(line(labelOf(hop, options), await measure(hop, options)));
  }
  console.log(table(rows));
  if (options.profile !== null) for (const text of hottest(options.profile)) console.log(text);
}

/** The hop's name, with what is not as it is by default: only the default has bars beside it. */
function labelOf({ name }: Hop, { table, size }: BenchOptions): string {
  const more = [table === 'orders' ? '' : ` ${table}`, size === undefined ? '' : ` of ${size}`];
  return name + more.join('');
}
