const AGAIN_MS = 20;

/**
 * Interrupts a connection when a signal aborts, and until it is disposed: DuckDB forgets an interrupt that
 * comes before the statement has begun.
 */
export function interruption(signal: AbortSignal | undefined, interrupt: () => void): Disposable {
  let again: NodeJS.Timeout | undefined;
  const begin = (): void => {
    interrupt();
    again = setInterval(interrupt, AGAIN_MS);
  };
  signal?.addEventListener('abort', begin, { once: true });
  return {
    [Symbol.dispose]() {
      signal?.removeEventListener('abort', begin);
      clearInterval(again);
    },
  };
}
