import { expect, test } from 'vitest';
import { MillraceError } from '../errors.ts';
import { type RetryOptions, untilStopped } from './retry.ts';

const lost = (): MillraceError => new MillraceError('SOURCE_DISCONNECTED', 'gone');

function options(more: Partial<RetryOptions> = {}): RetryOptions & { readonly waits: number[] } {
  const waits: number[] = [];
  return {
    signal: new AbortController().signal,
    failed: (_, waitMs) => waits.push(waitMs),
    progressed: () => false,
    random: () => 1,
    sleep: () => Promise.resolve(),
    waits,
    ...more,
  };
}

test('an error that the table says to retry opens the stage again after a wait that doubles up to its bound', async () => {
  const stop = new AbortController();
  const given = options({ signal: stop.signal, waitMsMax: 1_500 });
  let lives = 0;
  await untilStopped(() => {
    if (++lives === 6) stop.abort();
    else throw lost();
    return Promise.resolve();
  }, given);
  expect(given.waits).toEqual([250, 500, 1_000, 1_500, 1_500]);
});

test('jitter takes up to half of the wait away', async () => {
  const given = options({ random: () => 0 });
  let lives = 0;
  const run = untilStopped(() => Promise.reject(++lives < 3 ? lost() : new Error('end')), given);
  await expect(run).rejects.toThrow('end');
  expect(given.waits).toEqual([125, 250]);
});

test('progress in between starts the waits from the first again', async () => {
  let lives = 0;
  const given = options({ progressed: () => lives === 3 });
  const run = untilStopped(() => Promise.reject(++lives < 5 ? lost() : new Error('end')), given);
  await expect(run).rejects.toThrow('end');
  expect(given.waits).toEqual([250, 500, 250, 500]);
});

test('an error that is not in the table, or stops, ends it at once', async () => {
  const given = options();
  const unknown = new Error('unknown');
  await expect(untilStopped(() => Promise.reject(unknown), given)).rejects.toBe(unknown);
  const full = new MillraceError('SINK_FULL', 'full');
  await expect(untilStopped(() => Promise.reject(full), given)).rejects.toBe(full);
  expect(given.waits).toEqual([]);
});

test('after the abort neither the abort nor a lost connection is an error, but a full disk is', async () => {
  const signal = AbortSignal.abort();
  const failing = async (error: unknown): Promise<void> => {
    const stop = new AbortController();
    await untilStopped(
      () => {
        stop.abort();
        throw error;
      },
      options({ signal: stop.signal }),
    );
  };
  await untilStopped(() => Promise.reject(new Error('never run')), options({ signal }));
  await failing(signal.reason);
  await failing(lost());
  await expect(failing(new MillraceError('BROKER_FULL', 'full'))).rejects.toThrow('full');
});

test('a stage that ends although nobody stopped it is an error', async () => {
  await expect(untilStopped(() => Promise.resolve(), options())).rejects.toThrow('nobody stopped');
});

test('an abort ends the wait', async () => {
  const stop = new AbortController();
  const { sleep: _, ...given } = options({ signal: stop.signal, waitMsFirst: 3_600_000 });
  let lives = 0;
  const run = (): Promise<void> => {
    lives++;
    return Promise.reject(lost());
  };
  await untilStopped(run, { ...given, failed: () => queueMicrotask(() => stop.abort()) });
  expect(lives).toBe(1);
});

test('an error that comes up again while what was open is closed still counts as the first', async () => {
  const stop = new AbortController();
  const given = options({ signal: stop.signal });
  let lives = 0;
  await untilStopped(async () => {
    if (++lives === 3) return stop.abort();
    await using _ = { [Symbol.asyncDispose]: () => Promise.reject(new Error('closing failed')) };
    throw lost();
  }, given);
  expect(given.waits).toEqual([250, 500]);
});
