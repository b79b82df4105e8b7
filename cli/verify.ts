import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { topicName } from '../broker/broker.ts';
import { defined, targetOptions } from '../components.ts';
import type { Config, SinkConfig } from '../config.ts';
import { connectionSettings } from '../connectors/postgres/connection-settings.ts';
import { Connection } from '../connectors/postgres/connection.ts';
import { typeModes } from '../connectors/postgres/options.ts';
import { catalogue } from '../connectors/postgres/catalogue.ts';
import { tableFilter } from '../connectors/postgres/table-filter.ts';
import { findRunning } from '../console/client.ts';
import { MillraceError } from '../errors.ts';
import { sinksNamed } from '../runtime/topology.ts';
import { openDuckdbReadOnly } from '../sinks/duckdb/sink.ts';
import { Targets } from '../sinks/target.ts';
import { loadConfig } from './load-config.ts';
import type { CliContext } from './terminal.ts';
import { answer, type CommonOptions, verb } from './verb.ts';
import type { TableName } from './verify/columns.ts';
import { comparisonLines, isCompared } from './verify/lines.ts';
import { compareTables, type TableComparison } from './verify/tables.ts';

interface VerifyOptions extends CommonOptions {
  readonly sink?: string;
}

export function verifyCommand(context: CliContext): Command {
  return verb('verify', 'Compare every row and column of a stopped pipeline’s sink with the source')
    .argument('[tables...]', 'which tables, by their names in the source; all if none is given')
    .option('--sink <name>', 'which sink; all if not given')
    .action(async (names: readonly string[], options: VerifyOptions) => {
      const config = await loadConfig(options.config, context);
      await refuseRunning(config, context);
      const tables = await chosenTables(config, names, context);
      const found: SinkComparison[] = [];
      for (const sink of sinksNamed(config, options.sink)) {
        found.push({ sink: sink.name, tables: await compare(config, { sink, tables }, context) });
      }
      answer(context, options, {
        data: found,
        lines: () =>
          found.flatMap(({ sink, tables }, at) => [
            ...(found.length === 1 ? [] : [...(at === 0 ? [] : ['']), `sink ${sink}`]),
            ...comparisonLines(tables),
          ]),
      });
      assertEqual(found);
    });
}

interface SinkComparison {
  readonly sink: string;
  readonly tables: readonly TableComparison[];
}

/** A pipeline that runs is ahead of what is read of it, and has the file of the sink. */
async function refuseRunning(config: Config, context: CliContext): Promise<void> {
  const running = await findRunning(config.broker.path, config.pipeline, context.signal);
  if (running === null) return;
  throw new MillraceError('SINK_IN_USE', `${config.pipeline} is running`, {
    expected: 'a pipeline that has caught up with a source that stands still, and was stopped',
    remedy: 'Stop it when `millrace status` shows nothing behind, then verify.',
  });
}

/** The tables that are captured, as the source has them now; of those the named ones. */
async function chosenTables(
  config: Config,
  names: readonly string[],
  { environment, signal }: CliContext,
): Promise<string[]> {
  const filter = tableFilter(config.source.tables);
  const settings = connectionSettings({ ...defined(config.source), environment });
  await using connection = await Connection.open(settings, signal);
  const captured = (await catalogue(connection))
    .filter(({ table }) => filter.matches(table.schema, table.name))
    .map(({ table }) => `${table.schema}.${table.name}`);
  const unknown = names.filter((name) => !captured.includes(name));
  if (unknown.length > 0 || captured.length === 0) {
    throw new MillraceError(
      'SOURCE_TABLE_UNKNOWN',
      unknown.length > 0 ? `not captured: ${unknown.join(', ')}` : 'no table is captured',
      {
        expected:
          captured.length === 0 ? 'a table that `source.tables` names' : captured.join(', '),
      },
    );
  }
  return captured.filter((name) => names.length === 0 || names.includes(name));
}

async function compare(
  config: Config,
  { sink, tables }: { readonly sink: SinkConfig; readonly tables: readonly string[] },
  { environment, signal }: CliContext,
): Promise<TableComparison[]> {
  if (!existsSync(sink.path)) {
    throw new MillraceError('NOT_RUNNING', `${config.pipeline} has not run yet`, {
      place: sink.path,
    });
  }
  {
    // What holds the file, or is wrong with it, is said with its code.
    await using _ = await openDuckdbReadOnly(sink.path);
  }
  const source = defined(config.source);
  const { pipeline: prefix } = config;
  const targets = new Targets(targetOptions(sink, prefix));
  const targetOf = (table: string): TableName => {
    const { schema, table: name } = targets.of(topicName(prefix, table, 'changes'));
    return { schema, name };
  };
  const { filters, columns, hashKey } = config.source;
  return await compareTables({
    source: { ...source, environment },
    file: sink.path,
    tables,
    filters,
    rules: { columns, ...(hashKey === undefined ? {} : { hashKey }) },
    modes: typeModes(config.source),
    targetOf,
    signal,
  });
}

function assertEqual(found: readonly SinkComparison[]): void {
  const wrong = found.flatMap(({ tables }) => tables.filter(({ equal }) => !equal));
  if (wrong.length === 0) return;
  const differ = wrong.filter(isCompared);
  throw new MillraceError(
    'CONTENT_DIFFERS',
    [
      ...(differ.length > 0 ? [`${differ.length} tables differ`] : []),
      ...(wrong.length > differ.length
        ? [`${wrong.length - differ.length} tables cannot be compared`]
        : []),
    ].join(', '),
    { place: wrong.map(({ table, first }) => `${table}: ${first ?? 'not compared'}`).join('; ') },
  );
}
