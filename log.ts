import { pino, type Logger } from 'pino';

/**
 * Structured, quiet logging: normal work logs nothing at `info` after start. Never row values; only
 * tables, counts, positions. Secrets in URLs are cut out before anything is written.
 */
export type Log = Logger;

export function createLog(level: string = 'info', destination: number = 2): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: ['password', '*.password', 'url', '*.url'], censor: '[redacted]' },
    },
    pino.destination({ dest: destination, sync: true }),
  );
}

/** For tests and tools that have nobody to tell. */
export const silent: Log = pino({ level: 'silent' });
