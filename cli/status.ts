import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { componentsOf } from '../components.ts';
import type { Config } from '../config.ts';
import { findRunning } from '../console/client.ts';
import { silent } from '../log.ts';
import { deliveries } from '../runtime/deliveries.ts';
import { Positions } from '../runtime/positions.ts';
import { stoppedStatus } from '../runtime/status.ts';
import { tablesOnTopics, topologyOf } from '../runtime/topology.ts';
import { requireHasRun } from './has-run.ts';
import { loadConfig } from './load-config.ts';
import { type ShownStatus, statusLines } from './status-lines.ts';
import { stoppedSinks } from './stopped-sinks.ts';
import type { CliContext } from './terminal.ts';
import { answer, type CommonOptions, verb } from './verb.ts';

interface StatusOptions extends CommonOptions {
  readonly watch?: true;
}

const WATCH_MS = 1_000;

export function statusCommand(context: CliContext): Command {
  return verb('status', 'Show what a pipeline does: state, rate, lag and errors of each stage')
    .option('-w, --watch', 'show it again every second')
    .action(async (options: StatusOptions) => {
      const config = await loadConfig(options.config, context);
      for (;;) {
        const status = await statusOf(config, context);
        if (options.watch === true && options.json !== true && context.terminal.outIsTTY) {
          context.terminal.out('\u001b[H\u001b[2J');
        }
        answer(context, options, { data: status, lines: () => statusLines(status, Date.now()) });
        if (options.watch !== true || context.signal.aborted) return;
        await delay(WATCH_MS, undefined, { signal: context.signal }).catch(() => {});
        if (context.signal.aborted) return;
      }
    });
}

/**
 * Of the running pipeline, or of a stopped one from what its broker holds. Throws `NOT_RUNNING` if it
 * has never run.
 */
export async function statusOf(config: Config, context: CliContext): Promise<ShownStatus> {
  const running = await findRunning(config.broker.path, config.pipeline, context.signal);
  if (running !== null) {
    return { ...(await running.status()), deliveries: await running.deliveries() };
  }
  requireHasRun(config);
  await using opened = await componentsOf(config, context, silent).openBroker();
  const { broker } = opened;
  const state = await broker.describe();
  const position = await new Positions(broker, config.pipeline).read(context.signal);
  const topology = topologyOf(config, tablesOnTopics(config, state));
  const { parked, held } = await stoppedSinks(config, { topology, opened }, context);
  const parts = { broker, topology, held, now: Date.now() };
  return {
    ...stoppedStatus(topology, state, { position, parked }),
    deliveries: await deliveries(parts, context.signal),
  };
}
