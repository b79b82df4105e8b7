import { existsSync } from 'node:fs';
import { Argument, type Command } from 'commander';
import { componentsOf } from '../components.ts';
import type { Config } from '../config.ts';
import { findRunning } from '../console/client.ts';
import { MillraceError } from '../errors.ts';
import { silent } from '../log.ts';
import { rebuildTable, resumeTable } from '../runtime/sink-tables.ts';
import { type ParkedStatus, parkedStatus } from '../runtime/status.ts';
import {
  sinkGroup,
  sinksNamed,
  tableNamed,
  tablesOnTopics,
  type Topology,
  topologyOf,
} from '../runtime/topology.ts';
import { count, span } from './figures.ts';
import { requireHasRun } from './has-run.ts';
import { loadConfig } from './load-config.ts';
import { table } from './table.ts';
import type { CliContext } from './terminal.ts';
import { answer, type CommonOptions, verb } from './verb.ts';

interface TablesOptions extends CommonOptions {
  readonly sink?: string;
}

const actions = ['list', 'resume', 'rebuild'] as const;
type Action = (typeof actions)[number];

/** What to do to a table of a sink; all sinks if none is named. */
interface Order {
  readonly action: Exclude<Action, 'list'>;
  readonly table: string;
  readonly sink: string | undefined;
}

export function tablesCommand(context: CliContext): Command {
  return verb('tables', 'List the tables that a sink has parked; resume or rebuild one')
    .addArgument(new Argument('[action]', 'what to do').choices(actions).default('list'))
    .argument('[table]', 'which table, by its name in the source')
    .option('--sink <name>', 'of which sink; of all if not given')
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
      await obey(config, { action, table: name, sink: options.sink }, context);
      const done = action === 'resume' ? 'goes on' : 'is built again from the start of its topic';
      answer(context, options, {
        data: { table: name, action },
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
  const parked = await parkedTables(config, { topology, opened }, context);
  return { tables: topology.tables.map((one) => one.table), parked };
}

type OpenedBroker = Awaited<ReturnType<ReturnType<typeof componentsOf>['openBroker']>>;

/** Of a stopped pipeline, from the ledgers of its sinks. Throws what opening a sink throws. */
export async function parkedTables(
  config: Config,
  { topology, opened }: { readonly topology: Topology; readonly opened: OpenedBroker },
  context: CliContext,
): Promise<ParkedStatus[]> {
  const components = componentsOf(config, context, silent);
  const state = await opened.broker.describe();
  const found: ParkedStatus[] = [];
  for (const sink of config.sinks) {
    if (!existsSync(sink.path)) continue;
    await using open = await components.openSink(sink, opened.registry);
    found.push(...parkedStatus(sink.name, await open.parked(), { topology, state }));
  }
  return found;
}

/** Through the process that runs the pipeline if there is one, else on the ledger itself. */
async function obey(config: Config, order: Order, context: CliContext): Promise<void> {
  const { action, table: name, sink } = order;
  const running = await findRunning(config.broker.path, config.pipeline, context.signal);
  if (running !== null) return running.order(action, { table: name, ...(sink && { sink }) });
  requireHasRun(config);
  const components = componentsOf(config, context, silent);
  await using opened = await components.openBroker();
  const topology = topologyOf(config, tablesOnTopics(config, await opened.broker.describe()));
  const { changes } = tableNamed(topology, name);
  for (const one of sinksNamed(config, sink)) {
    await using open = await components.openSink(one, opened.registry);
    const group = sinkGroup(config.pipeline, one);
    const work = action === 'resume' ? resumeTable(changes) : rebuildTable(changes, group);
    await work(open, opened.broker);
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
