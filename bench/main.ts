import { parseArgs } from 'node:util';
import { measure, type BenchOptions } from './harness.ts';
import { findHop, hopNames } from './hops.ts';
import { line, table } from './report.ts';

const usage = `npm run bench -- [hop …] [--quick] [--seconds N] [--events N]

  hop        one or more of: ${hopNames.join(', ')}; all without one
  --quick    one short run of each, to see that it works
  --seconds  go on with counted runs for this long (there are at least five)
  --events   rows or changes of a run`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '0' },
    events: { type: 'string' },
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
  };
  const rows: string[][] = [];
  for (const name of positionals.length > 0 ? positionals : hopNames) {
    const hop = await findHop(name);
    console.error(`${hop.name}: ${hop.title}`);
    rows.push(line(hop.name, await measure(hop, options)));
  }
  console.log(table(rows));
}
