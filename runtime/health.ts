import type { StageMeter } from './stage-meter.ts';

/** A batch in hand for longer than this means that the loop is dead. */
const STALLED_MS = 5 * 60_000;

/** Reasons why the process should be restarted; none if all loops live. `now` is elapsed time. */
export function unhealthy(stages: readonly StageMeter[], now: number): string[] {
  return stages.flatMap(({ name, state, busySince, lastError }) => {
    if (state === 'failed') return [`${name} has failed: ${lastError?.code ?? 'unknown'}`];
    if (busySince !== null && now - busySince > STALLED_MS) {
      return [`${name} has held one batch for ${Math.round((now - busySince) / 1000)} s`];
    }
    return [];
  });
}

/** Reasons why changes do not flow now; none if every stage runs. */
export function unready(stages: readonly StageMeter[]): string[] {
  return stages
    .filter(({ state }) => state !== 'running')
    .map(({ name, state, lastError }) =>
      lastError === null
        ? `${name} is ${state}`
        : `${name} is ${state}: ${lastError.code}: ${lastError.message}`,
    );
}
