import { existsSync } from 'node:fs';
import { componentsOf } from '../components.ts';
import type { Config } from '../config.ts';
import { silent } from '../log.ts';
import type { Components } from '../runtime/components.ts';
import { type ParkedStatus, parkedStatus } from '../runtime/status.ts';
import type { Topology } from '../runtime/topology.ts';
import type { TableHeld } from '../sinks/sink.ts';
import type { CliContext } from './terminal.ts';

/** What the sinks of a pipeline say while it does not run. */
export interface StoppedSinks {
  readonly parked: readonly ParkedStatus[];
  /** By the name of the sink. */
  readonly held: ReadonlyMap<string, readonly TableHeld[]>;
}

/** Opens each sink that is there, one after another. Throws what opening a sink throws. */
export async function stoppedSinks(
  config: Config,
  by: {
    readonly topology: Topology;
    readonly opened: Awaited<ReturnType<Components['openBroker']>>;
  },
  context: CliContext,
): Promise<StoppedSinks> {
  const { topology, opened } = by;
  const components = componentsOf(config, context, silent);
  const state = await opened.broker.describe();
  const parked: ParkedStatus[] = [];
  const held = new Map<string, readonly TableHeld[]>();
  for (const sink of config.sinks) {
    if (!existsSync(sink.path)) continue;
    await using open = await components.openSink(sink, opened.registry);
    parked.push(...parkedStatus(sink.name, await open.parked(), { topology, state }));
    held.set(sink.name, (await open.held?.()) ?? []);
  }
  return { parked, held };
}
