import { MillraceError } from '../errors.ts';

/**
 * The time that a stop may take. From the abort of `stop` on, `timeoutMs` later `halt` is aborted and
 * `expired` rejects with `DRAIN_TIMEOUT`, unless it is disposed of before.
 */
export class DrainDeadline implements Disposable {
  readonly expired: Promise<never>;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    stop: AbortSignal,
    halt: AbortController,
    options: { readonly timeoutMs: number; readonly busy: () => readonly string[] },
  ) {
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {}); // Nobody waits for it any more once the stages have ended.
    this.expired = promise;
    const expire = (): void => {
      halt.abort();
      reject(
        new MillraceError('DRAIN_TIMEOUT', `the stop took longer than ${options.timeoutMs} ms`, {
          place: options.busy().join(', '),
        }),
      );
    };
    const start = (): void => {
      this.#timer = setTimeout(expire, options.timeoutMs);
    };
    if (stop.aborted) start();
    else stop.addEventListener('abort', start, { once: true });
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
