import { setTimeout as delay } from 'node:timers/promises';
import { directive, firstOf } from '../errors.ts';

export interface RetryOptions {
  readonly signal: AbortSignal;
  /** Told of each failure that will be tried again, with the wait before. */
  readonly failed: (error: unknown, waitMs: number) => void;
  /** Asked after a failure: whether the stage finished a batch since it was last opened. */
  readonly progressed: () => boolean;
  readonly waitMsFirst?: number;
  readonly waitMsMax?: number;
  readonly random?: () => number;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Runs a stage, and opens it again after an error that the table of codes says to retry: after a wait
 * that doubles with each failure in a row, with jitter so that stages do not come back all at once.
 * Rejects with the first error that is not to be retried; resolves when the signal has aborted.
 */
export async function untilStopped(run: () => Promise<void>, options: RetryOptions): Promise<void> {
  const { signal, waitMsFirst = 250, waitMsMax = 30_000 } = options;
  const { random = Math.random, sleep = pause } = options;
  let failures = 0;
  while (!signal.aborted) {
    try {
      await run();
      if (!signal.aborted) throw new Error('the stage ended although nobody stopped it');
    } catch (caught) {
      const error = firstOf(caught);
      if (signal.aborted && (isAbort(error) || directive(error) === 'retry')) return;
      if (directive(error) !== 'retry') throw error;
      failures = options.progressed() ? 1 : failures + 1;
      const ceiling = Math.min(waitMsMax, waitMsFirst * 2 ** (failures - 1));
      const waitMs = Math.round(ceiling * (0.5 + random() / 2));
      options.failed(error, waitMs);
      await sleep(waitMs, signal);
    }
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || isAbort(error.cause));
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {}); // Rejects on abort only, which ends the wait.
}
