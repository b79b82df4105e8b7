import { count, seconds } from '../figures.ts';
import type { Status } from '../../runtime/status.ts';
import type { Terminal } from '../terminal.ts';
import type { LoadCounts } from './load.ts';

/** Those who watch the demo. */
export interface Audience {
  /** Something happened that is worth a line. */
  event(text: string): void;
  /** Where everything stands just now. `status` is null while the pipeline does not answer. */
  live(load: Readonly<LoadCounts>, status: Status | null): void;
}

export const nobody: Audience = { event: () => undefined, live: () => undefined };

const PLAIN_EVERY_MS = 1000;

/** Lines as time goes by, and on a terminal a block below them that is refreshed in place. */
export function audience(terminal: Terminal): Audience {
  const began = performance.now();
  const since = (): string => `${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s`;
  const pace = new Pace();
  let drawn = 0;
  let plainAt = -Infinity;
  const erase = (): string => (drawn === 0 ? '' : `\x1b[${drawn}A\x1b[J`);
  return {
    event: (text) => {
      terminal.out(`${terminal.outIsTTY ? erase() : ''}${since()}  ${text}\n`);
      drawn = 0;
    },
    live: (load, status) => {
      const lines = liveLines(pace.of(load), load, status);
      if (terminal.outIsTTY) {
        terminal.out(
          `${erase()}${lines.map((line) => `${line.slice(0, terminal.columns)}\n`).join('')}`,
        );
        drawn = lines.length;
      } else if (performance.now() - plainAt >= PLAIN_EVERY_MS) {
        plainAt = performance.now();
        terminal.out(`${since()}  ${lines.map((line) => line.trim()).join(' | ')}\n`);
      }
    },
  };
}

export function liveLines(
  perSecond: number,
  load: Readonly<LoadCounts>,
  status: Status | null,
): string[] {
  const shop = `         shop      ${count(perSecond)} changes/s, ${count(rows(load))} committed`;
  if (status === null) return [shop, '         pipeline  starting', ''];
  const { snapshot } = status;
  const stages = status.stages.map(({ stage, changesPerSecond, state }) =>
    state === 'running' ? `${stage} ${count(changesPerSecond)}/s` : `${stage} ${state}`,
  );
  const copied =
    snapshot !== null && snapshot.tables.some(({ done }) => !done)
      ? `, snapshot ${count(snapshot.rows)} of ${count(snapshot.rowsEstimated)} rows`
      : '';
  const lag = status.lag[0];
  const hops =
    lag === undefined
      ? '-'
      : `read ${seconds(lag.read)} + raw ${seconds(lag.raw)} + changes ${seconds(lag.changes)} + ` +
        `applied ${seconds(lag.applied)} = ${seconds(lag.total)}`;
  return [shop, `         pipeline  ${stages.join(', ')}${copied}`, `         lag       ${hops}`];
}

export function rows(load: Readonly<LoadCounts>): number {
  return load.inserts + load.updates + load.deletes + load.keyChanges;
}

/** Rows per second over the last few calls. */
class Pace {
  readonly #samples: { at: number; rows: number }[] = [];

  of(load: Readonly<LoadCounts>): number {
    const now = { at: performance.now(), rows: rows(load) };
    this.#samples.push(now);
    if (this.#samples.length > 9) this.#samples.shift();
    const [first = now] = this.#samples;
    return now.at === first.at ? 0 : ((now.rows - first.rows) / (now.at - first.at)) * 1000;
  }
}
