import { type Command, InvalidArgumentError } from 'commander';
import { componentsOf } from '../components.ts';
import type { Config } from '../config.ts';
import { findRunning } from '../console/client.ts';
import { MillraceError } from '../errors.ts';
import { silent } from '../log.ts';
import type { QueryResult } from '../runtime/components.ts';
import { count } from './figures.ts';
import { loadConfig } from './load-config.ts';
import { table } from './table.ts';
import type { CliContext } from './terminal.ts';
import { type CommonOptions, verb } from './verb.ts';

interface QueryOptions extends CommonOptions {
  readonly sink?: string;
  readonly csv?: true;
  readonly rowsMax: number;
}

export function queryCommand(context: CliContext): Command {
  return verb('query', 'Ask a sink, while the pipeline runs or when it does not')
    .argument('<sql>', 'a query that reads, such as "select count(*) from public.orders"')
    .option('--sink <name>', 'which sink, if there are several; the first if not given')
    .option('--rows-max <n>', 'rows shown at most', wholeNumber, 10_000)
    .option('--csv', 'write CSV')
    .action(async (sql: string, options: QueryOptions) => {
      const config = await loadConfig(options.config, context);
      const result = await ask(config, { sql, options }, context);
      context.terminal.out(`${written(result, options)}\n`);
      if (result.truncated) {
        context.terminal.err(`only the first ${count(options.rowsMax)} rows: see --rows-max\n`);
      }
    });
}

function wholeNumber(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a whole number above 0');
}

/** Through the process that runs the pipeline if there is one, else straight from the file. */
async function ask(
  config: Config,
  { sql, options }: { readonly sql: string; readonly options: QueryOptions },
  context: CliContext,
): Promise<QueryResult> {
  const { sink: name, rowsMax } = options;
  const sink = config.sinks.find((candidate) => name === undefined || candidate.name === name);
  if (sink === undefined) {
    throw new MillraceError('USAGE', `there is no sink named ${name}`, {
      place: '--sink',
      expected: `one of: ${config.sinks.map((candidate) => candidate.name).join(', ')}`,
    });
  }
  const { signal } = context;
  const running = await findRunning(config.broker.path, config.pipeline, signal);
  if (running !== null) return running.query(sql, { sink: sink.name, rowsMax });
  return componentsOf(config, context, silent).query(sink, sql, { rowsMax, signal });
}

const NUMBER = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL.*)$/;

function written({ columns, rows, truncated }: QueryResult, options: QueryOptions): string {
  const names = columns.map(({ name }) => name);
  if (options.json === true) return JSON.stringify({ columns, rows, truncated });
  if (options.csv === true) return [names, ...rows].map(csvLine).join('\n');
  return [
    ...table(
      columns.map(({ name, type }) => ({
        title: name,
        align: NUMBER.test(type) ? 'right' : 'left',
      })),
      rows.map((row) => row.map((value) => (value === null ? 'NULL' : oneLine(shown(value))))),
    ),
    `(${count(rows.length)} ${rows.length === 1 ? 'row' : 'rows'})`,
  ].join('\n');
}

/** RFC 4180; NULL is an empty field, empty text a quoted one. */
function csvLine(values: readonly unknown[]): string {
  return values
    .map((value) => {
      if (value === null) return '';
      const text = shown(value);
      return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    })
    .join(',');
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function oneLine(text: string): string {
  return text.replaceAll('\r', '\\r').replaceAll('\n', '\\n');
}
