import { constants } from 'node:os';

/**
 * The only place that touches `process`. The first SIGINT or SIGTERM asks the command to finish what
 * it has in hand and end; the second ends it at once. Both are safe (I8).
 */
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    if (stop.signal.aborted) process.exit(128 + constants.signals[name]);
    stop.abort(); // I8: every loop finishes what it has in hand.
  });
}
// The reader of a pipe has gone (`millrace query … | head`): there is nobody to write to.
process.stdout.on('error', () => process.exit(0));

// Loaded once a signal is heard, for that takes a moment.
const { runCli } = await import('./cli/program.ts');
const code = await runCli(process.argv.slice(2), {
  terminal: {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    outIsTTY: process.stdout.isTTY,
    errIsTTY: process.stderr.isTTY,
    columns: process.stdout.columns ?? 80,
  },
  environment: process.env,
  folder: process.cwd(),
  pid: process.pid,
  signal: stop.signal,
  kill: () => process.kill(process.pid, 'SIGKILL'),
});
process.exit(code);
