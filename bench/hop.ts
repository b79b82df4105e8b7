import type { TableKind } from './tables.ts';

/** Where a hop is measured, and with how much. */
export interface HopContext {
  /** Of what there is before: keys or tables, where a hop is about growth. */
  readonly size: number;
  readonly table: TableKind;
  /** Rows or changes of one run. */
  readonly events: number;
  /** A folder of this hop, empty before `prepare`. */
  readonly folder: string;
  /** A Postgres of this hop, empty before `prepare`. */
  readonly url: string;
  /** 0 for the warm-up, then 1, 2, … */
  readonly run: number;
  /** Folder for CPU profiles; null for none. */
  readonly profile: string | null;
}

/** One run, measured. */
export interface Run {
  readonly events: number;
  readonly seconds: number;
  /** User and system time of the pipeline's process. */
  readonly cpuSeconds: number;
  /** Most memory that process ever had. */
  readonly rssBytes: number;
  /** What the run left on disk; null if it writes nothing. */
  readonly diskBytes: number | null;
  /** One per event where the hop is about latency; then the rate means nothing. */
  readonly latenciesMs?: readonly number[];
}

/** A way, or a part of it, that is measured. */
export interface Hop {
  readonly name: string;
  readonly title: string;
  /** Events of a full run and of a quick one, which only shows that the hop still works. */
  readonly events: number;
  readonly quickEvents: number;
  /** Keys or tables there are before a full run and a quick one, if it is about how cost grows with them. */
  readonly size?: number;
  readonly quickSize?: number;
  /** What is there before the clock starts. In the harness's own process, whose memory is not counted. */
  prepare(context: HopContext): Promise<void>;
  /** Each in the same process, so that the first warms up for the others. */
  run(context: HopContext): Promise<Run>;
}

/** Times work in this very process. `disk` is asked afterwards. */
export async function timed(
  events: number,
  work: () => Promise<void>,
  disk: () => number | null = () => null,
): Promise<Run> {
  const cpu = process.cpuUsage();
  const began = performance.now();
  await work();
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return {
    events,
    seconds,
    cpuSeconds: (user + system) / 1e6,
    rssBytes: process.resourceUsage().maxRSS * 1024,
    diskBytes: disk(),
  };
}
