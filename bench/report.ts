import { bars } from './bars.ts';
import { median, percentile } from './harness.ts';
import type { Run } from './hop.ts';

export const headings = [
  'hop',
  'rate /s (median [range], n)',
  'CPU s/M',
  'peak MiB',
  'disk B/event',
  'limit',
  'peer',
] as const;

/** A line of the table for the runs of one hop. */
export function line(name: string, runs: readonly Run[]): string[] {
  const cpu = median(runs.map((run) => (run.cpuSeconds / run.events) * 1e6));
  const memory = Math.max(...runs.map((run) => run.rssBytes)) / 2 ** 20;
  const disk = runs.flatMap((run) => (run.diskBytes === null ? [] : [run.diskBytes / run.events]));
  const bar = bars[name];
  const latencies = runs.flatMap((run) => run.latenciesMs ?? []);
  return [
    name,
    latencies.length > 0 ? latency(latencies) : rate(runs),
    latencies.length > 0 ? '' : cpu.toFixed(2),
    memory.toFixed(0),
    disk.length > 0 && latencies.length === 0 ? median(disk).toFixed(0) : '',
    bar?.limit ?? '',
    bar?.peer ?? '',
  ];
}

function rate(runs: readonly Run[]): string {
  const rates = runs.map((run) => run.events / run.seconds);
  const range = `${short(Math.min(...rates))}–${short(Math.max(...rates))}`;
  return `${short(median(rates))} [${range}], ${runs.length}`;
}

function latency(latencies: readonly number[]): string {
  const [p50, p99] = [percentile(latencies, 0.5), percentile(latencies, 0.99)];
  return `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, ${latencies.length}`;
}

/** 1234567 → 1.23 M, 12345 → 12.3 k. */
export function short(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toPrecision(3)} M`;
  return value >= 1e3 ? `${(value / 1e3).toPrecision(3)} k` : value.toFixed(0);
}

/** A Markdown table, its columns padded, so that it reads the same in a terminal and in RESULTS.md. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, at) =>
    Math.max(heading.length, ...rows.map((row) => row[at]?.length ?? 0)),
  );
  const print = (row: readonly string[]): string =>
    `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  return [
    print(headings),
    print(widths.map((width) => '-'.repeat(width))),
    ...rows.map(print),
  ].join('\n');
}
