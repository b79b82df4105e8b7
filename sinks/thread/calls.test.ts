import { MessageChannel } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { MillraceError } from '../../errors.ts';
import { Calls, type Answer } from './calls.ts';

/** Two sides of one channel; the second answers. */
function sides(answers: Readonly<Record<string, Answer>>): [Calls, Calls] {
  const { port1, port2 } = new MessageChannel();
  onTestFinished(() => port1.close());
  return [new Calls(port1, {}), new Calls(port2, answers)];
}

test('each call gets its own answer, whichever comes first', async () => {
  const { promise: held, resolve } = Promise.withResolvers<void>();
  const [calls] = sides({
    slow: (given: number) => held.then(() => given + 1),
    quick: async (given: number) => {
      resolve();
      return given * 2;
    },
  });
  const answers = await Promise.all([calls.call('slow', 1), calls.call('quick', 4)]);
  expect(answers).toEqual([2, 8]);
});

test('an error arrives with its code, its place and its cause', async () => {
  const details = { place: 'public.t', expected: 'a table', remedy: 'Look.' };
  const cause = new TypeError('inside');
  const [calls] = sides({
    fail: () => Promise.reject(new MillraceError('SINK_FULL', 'no room', { ...details, cause })),
    other: () => Promise.reject(new RangeError('odd')),
  });
  const error = await calls.call('fail', null).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(MillraceError);
  expect(error).toMatchObject({ code: 'SINK_FULL', message: 'no room', ...details });
  expect((error as Error).cause).toMatchObject({ name: 'TypeError', message: 'inside' });
  await expect(calls.call('other', null)).rejects.toMatchObject({
    name: 'RangeError',
    message: 'odd',
  });
  await expect(calls.call('nothing', null)).rejects.toThrow('nobody answers nothing');
});

test('an abort reaches the other side, and the call rejects as aborted', async () => {
  const abort = new AbortController();
  const begun = Promise.withResolvers<void>();
  const [calls] = sides({
    wait: (_: never, signal) => {
      begun.resolve();
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('interrupted')));
      });
    },
  });
  const waiting = calls.call('wait', null, { signal: abort.signal });
  await begun.promise;
  abort.abort();
  await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
  await expect(calls.call('wait', null, { signal: abort.signal })).rejects.toThrow('aborted');
});

test('when the other side has ended, calls that wait and later ones reject with why', async () => {
  const [calls] = sides({ never: () => new Promise(() => {}) });
  const waiting = calls.call('never', null);
  calls.end(new Error('gone'));
  await expect(waiting).rejects.toThrow('gone');
  await expect(calls.call('never', null)).rejects.toThrow('gone');
});
