import { Argument, type Command, Option } from 'commander';
import { componentsOf } from '../components.ts';
import type { Config } from '../config.ts';
import { findRunning } from '../console/client.ts';
import { MillraceError } from '../errors.ts';
import { silent } from '../log.ts';
import type { RebuildFrom } from '../sinks/sink.ts';
import { rebuildTable } from '../runtime/rebuild.ts';
import type { ParkedStatus } from '../runtime/status.ts';
import {
  sinkGroup,
  sinksNamed,
  tableNamed,
  tablesOnTopics,
  topologyOf,
} from '../runtime/topology.ts';
import { count, span } from './figures.ts';
import { requireHasRun } from './has-run.ts';
import { loadConfig } from './load-config.ts';
import { stoppedSinks } from './stopped-sinks.ts';
import { table } from './table.ts';
import type { CliContext } from './terminal.ts';
import { answer, type CommonOptions, verb } from './verb.ts';

interface TablesOptions extends CommonOptions {
  readonly sink?: string;
  readonly from?: RebuildFrom;
}

const actions = ['list', 'resume', 'rebuild'] as const;
type Action = (typeof actions)[number];

/** What to do to a table of a sink; all sinks if none is named. */
interface Order {
  readonly action: Exclude<Action, 'list'>;
  readonly table: string;
  readonly sink: string | undefined;
  /** Only with `rebuild`. */
  readonly from: RebuildFrom;
}

export function tablesCommand(context: CliContext): Command {
  return verb('tables', 'List the tables that a sink has parked; resume or rebuild one')
    .addArgument(new Argument('[action]', 'what to do').choices(actions).default('list'))
    .argument('[table]', 'which table, by its name in the source')
    .option('--sink <name>', 'of which sink; of all if not given')
    .addOption(
      new Option(
        '--from <topic>',
        'what it is rebuilt from: all `changes` (if not given), or faster from the `latest` rows',
      ).choices(['changes', 'latest']),
    )
    .action(async (action: Action, name: string | undefined, options: TablesOptions) => {
      const config = await loadConfig(options.config, context);
      if (action === 'list') {
        const { tables, parked } = await listOf(config, context);
        const data = tables.map((table) => ({
          table,
          parked: parked.filter((one) => one.table === table),
        }));
        return answer(context, options, { data, lines: () => listLines(tables, parked) });
      }
      if (name === undefined) {
        throw new MillraceError('USAGE', `no table is named to ${action}`, {
          expected: `millrace tables ${action} <table>`,
        });
      }
      const { sink, from = 'changes' } = options;
      if (action === 'resume' && options.from !== undefined) {
        throw new MillraceError('USAGE', 'a table is not resumed from another topic', {
          place: '--from',
          expected: `millrace tables rebuild ${name} --from ${from}`,
        });
      }
      await obey(config, { action, table: name, sink, from }, context);
      const done = action === 'resume' ? 'goes on' : `was made again from \`.${from}\``;
      answer(context, options, {
        data: { table: name, action, ...(action === 'rebuild' ? { from } : {}) },
        lines: () => [`${name} ${done}; see \`millrace status\``],
      });
    });
}

interface Listed {
  readonly tables: readonly string[];
  readonly parked: readonly ParkedStatus[];
}

async function listOf(config: Config, context: CliContext): Promise<Listed> {
  const running = await findRunning(config.broker.path, config.pipeline, context.signal);
  if (running !== null) {
    const { tables, parked } = await running.status();
    return { tables: tables.map((one) => one.table), parked };
  }
  requireHasRun(config);
  await using opened = await componentsOf(config, context, silent).openBroker();
  const state = await opened.broker.describe();
  const topology = topologyOf(config, tablesOnTopics(config, state));
  const { parked } = await stoppedSinks(config, { topology, opened }, context);
  return { tables: topology.tables.map((one) => one.table), parked };
}

/** Through the process that runs the pipeline if there is one, else on the ledger itself. */
async function obey(config: Config, order: Order, context: CliContext): Promise<void> {
  const { action, table: name, sink, from } = order;
  const running = await findRunning(config.broker.path, config.pipeline, context.signal);
  if (running !== null) {
    const of = { table: name, sink, from };
    return action === 'resume' ? running.resume(of) : running.rebuild(of);
  }
  requireHasRun(config);
  const components = componentsOf(config, context, silent);
  await using opened = await components.openBroker();
  const topology = topologyOf(config, tablesOnTopics(config, await opened.broker.describe()));
  const topics = tableNamed(topology, name);
  for (const one of sinksNamed(config, sink)) {
    await using open = await components.openSink(one, opened.registry);
    if (action === 'resume') await open.resume(topics.changes);
    else {
      const { signal } = context;
      await using rebuilt = await rebuildTable(open, opened.broker, { topics, from, signal });
      await rebuilt.replace(opened.broker, sinkGroup(config.pipeline, one));
    }
  }
}

function listLines(tables: readonly string[], parked: readonly ParkedStatus[]): string[] {
  const rows = tables.flatMap((name) => {
    const found = parked.filter((one) => one.table === name);
    if (found.length === 0) return [[name, 'flows', '', '', '']];
    return found.map(({ sink, code, waitingRecords }) => [
      name,
      'parked',
      sink,
      count(waitingRecords),
      code,
    ]);
  });
  return [
    ...table(
      [
        { title: 'TABLE' },
        { title: 'STATE' },
        { title: 'SINK' },
        { title: 'WAITING', align: 'right' },
        { title: 'CODE' },
      ],
      rows,
    ),
    ...parkedLines(parked, Date.now()),
  ];
}

/** Why tables are parked, and what resolves it. */
export function parkedLines(parked: readonly ParkedStatus[], now: number): string[] {
  return parked.flatMap((one) => [
    '',
    `${one.table} is parked in ${one.sink} since ${span(now - one.parkedAt)}; ${count(one.waitingRecords)} records wait`,
    `  ${one.code}: ${one.message}`,
    ...(one.place === null ? [] : [`  at: ${one.place}`]),
    ...(one.expected === null ? [] : [`  expected: ${one.expected}`]),
    `  ${one.remedy}`,
    `  then: millrace tables resume ${one.table}, or millrace tables rebuild ${one.table}`,
  ]);
}
