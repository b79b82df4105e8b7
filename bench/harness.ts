import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '../cli/demo/postgres.ts';
import type { Hop, HopContext, Run } from './hop.ts';
import { profileArguments } from './profile.ts';
import { more, type TableKind } from './tables.ts';

export interface BenchOptions {
  /** One counted run of few events and no warm-up: shows that the hop works, and no figure. */
  readonly quick: boolean;
  /** Counted runs go on until this many seconds have passed; there are at least five. */
  readonly seconds: number;
  readonly events?: number;
  /** Keys or tables that there are before, for hops about growth. */
  readonly size?: number;
  readonly table?: TableKind;
  /** Folder for CPU profiles of the processes under test; null for none. */
  readonly profile: string | null;
}

const RUNS_MIN = 5;

/** Settings of the source: as it comes, but for what a loader of millions needs. */
const settings = { shared_buffers: '512MB', max_wal_size: '4GB', wal_sender_timeout: '0' };

/** Prepares a hop and runs it in a process of its own. The warm-up is not among the runs returned. */
export async function measure(hop: Hop, options: BenchOptions): Promise<Run[]> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  try {
    await using postgres = await startPostgres(folder, settings);
    const context = {
      ...amounts(hop, options),
      folder: mkdtempSync(join(folder, 'hop-')),
      url: postgres.url,
      profile: options.profile,
    };
    await hop.prepare({ ...context, run: 0 });
    return await runs(hop.name, context, options);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function amounts(
  hop: Hop,
  { quick, table = 'orders', ...given }: BenchOptions,
): Pick<HopContext, 'events' | 'size' | 'table'> {
  const events = quick ? hop.quickEvents : Math.ceil(hop.events / more[table].weight);
  const size = (quick ? hop.quickSize : hop.size) ?? 0;
  return { events: given.events ?? events, size: given.size ?? size, table };
}

async function runs(
  name: string,
  context: Omit<HopContext, 'run'>,
  options: BenchOptions,
): Promise<Run[]> {
  const child = fork(join(import.meta.dirname, 'child.ts'), [name], {
    serialization: 'advanced',
    execArgv: profileArguments(options.profile),
  });
  const ended = once(child, 'exit');
  const one = async (run: number): Promise<Run> => {
    child.send({ ...context, run });
    const answer = await Promise.race([
      once(child, 'message').then(([message]) => message as Run),
      ended.then(() => null),
    ]);
    if (answer === null) throw new Error(`the process of ${name} ended in run ${run}`);
    return answer;
  };
  try {
    const found: Run[] = [];
    if (!options.quick) await one(0);
    const began = performance.now();
    do found.push(await one(found.length + 1));
    while (
      !options.quick &&
      (found.length < RUNS_MIN || performance.now() - began < options.seconds * 1000)
    );
    return found;
  } finally {
    if (child.connected) child.disconnect();
    await ended;
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? NaN)) / 2;
}

/** The value that this share (0 to 1) of all is not above. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN;
}
