import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { MillraceError } from '../errors.ts';
import { audience, nobody } from './demo/audience.ts';
import { shellCommand } from './demo/pipeline-process.ts';
import { play, type PlayResult } from './demo/play.ts';
import type { CliContext } from './terminal.ts';
import { answer } from './verb.ts';
import { comparisonLines } from './verify/lines.ts';
import type { TableComparison } from './verify/tables.ts';

interface DemoOptions {
  readonly seconds: string;
  readonly json?: true;
  readonly keep?: true;
}

const SECONDS_MAX = 3600;
const CHANGES_PER_SECOND = 2000;
const size = { customers: 2000, products: 500, orders: 10_000, views: 20_000 };

export function demoCommand(context: CliContext): Command {
  return new Command('demo')
    .description('Show it all at work: a Postgres of its own, a load, a killed pipeline, the proof')
    .option('--seconds <n>', 'how long the load goes on', '20')
    .option('--json', 'write JSON')
    .option('--keep', 'leave database and files, and say what to try next')
    .helpOption('-h, --help', 'show this help')
    .action((options: DemoOptions) => demo(context, options));
}

async function demo(context: CliContext, options: DemoOptions): Promise<void> {
  const seconds = Number(options.seconds);
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > SECONDS_MAX) {
    throw new MillraceError('USAGE', `--seconds ${options.seconds} is not a length of time`, {
      expected: `a whole number from 1 to ${SECONDS_MAX}`,
    });
  }
  const folder = mkdtempSync(join(tmpdir(), 'millrace-demo-'));
  let kept = false;
  try {
    const began = performance.now();
    const result = await play({
      folder,
      seconds,
      size,
      changesPerSecond: CHANGES_PER_SECOND,
      seed: Math.floor(Math.random() * 1_000_000),
      columnsAtMs: [seconds * 300],
      killsAtMs: [seconds * 500],
      keep: options.keep === true,
      audience: options.json === true ? nobody : audience(context.terminal),
      signal: context.signal,
    });
    kept = options.keep === true;
    const wallSeconds = (performance.now() - began) / 1000;
    answer(context, options, {
      data: { ...publicPart(result), wallSeconds, ...(kept ? { folder, url: result.url } : {}) },
      lines: () => [
        '',
        ...comparisonLines(result.tables),
        ...(result.equal ? ['', verdict(result)] : []),
        ...(kept ? nextLines(folder, result) : []),
      ],
    });
    assertEqual(result.tables);
  } catch (error) {
    if (!context.signal.aborted) throw error;
    context.terminal.err('stopped; everything of the demo is removed\n');
  } finally {
    if (!kept) rmSync(folder, { recursive: true, force: true });
  }
}

function publicPart({ load, kills, drained, tables, equal }: PlayResult): Record<string, unknown> {
  return { equal, drained, kills, load, tables };
}

function verdict({ kills }: PlayResult): string {
  const times = kills === 1 ? 'once' : `${kills} times`;
  return `Killed ${times}: nothing lost, nothing doubled. Every row and column of every table is equal.`;
}

function nextLines(folder: string, { url, postgresPid }: PlayResult): string[] {
  return [
    '',
    'Postgres goes on, and everything is kept. To try next:',
    `  cd ${folder}`,
    `  alias millrace="${shellCommand}"`,
    '  millrace plan',
    '  millrace query "SELECT status, count(*) FROM public.orders GROUP BY ALL"',
    '  millrace run                 # goes on where it was; Ctrl-C ends it',
    '  millrace status              # in a second terminal',
    `  psql ${url}`,
    'To end it:',
    `  kill -INT ${postgresPid} && rm -r ${folder}`,
  ];
}

function assertEqual(tables: readonly TableComparison[]): void {
  const wrong = tables.filter(({ equal }) => !equal);
  if (wrong.length === 0) return;
  throw new MillraceError('CONTENT_DIFFERS', `${wrong.length} tables differ`, {
    place: wrong.map(({ table, first }) => `${table}: ${first}`).join('; '),
  });
}
