import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

// What our sources compile to is kept, so that a command starts in half the time. It is run, so that it must be
// in a folder of the user's own.
const caches = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
const compiled = process.env['NODE_COMPILE_CACHE'] ?? join(caches, 'millrace', 'compiled');
enableCompileCache(compiled);
replaceOnce();

/**
 * The only place that touches `process`. The first SIGINT or SIGTERM asks the command to finish what
 * it has in hand and end; the second ends it at once. Both are safe (I8).
 */
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    if (stop.signal.aborted) endBy(name);
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

/**
 * What the memory of a running pipeline is kept small with can be said to a process only when it starts, so
 * it starts once more in its own place: same pid, nothing open yet. `docs/performance.md` says what each
 * does; whoever sets MALLOC_ARENA_MAX has decided for themselves.
 */
function replaceOnce(): void {
  const { argv, env, execArgv, execPath, platform } = process;
  if (argv[2] !== 'run' || platform !== 'linux' || env['MALLOC_ARENA_MAX'] !== undefined) return;
  // Buffers outside the heap count as growth of it: with the default, V8 marks all of it every 16 MB.
  const heap = ['--heap-growing-percent=300', '--max-semi-space-size=4'];
  try {
    process.execve?.(execPath, [execPath, ...heap, ...execArgv, ...argv.slice(1)], {
      ...env,
      MALLOC_ARENA_MAX: '2',
      NODE_COMPILE_CACHE: compiled, // Unlike the call above it holds for threads too.
    });
  } catch {
    // Not permitted: it runs as it is, with more memory.
  }
}

/** As if nobody listened to it: an orderly exit would tear the thread of a sink out of a call into DuckDB. */
function endBy(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}
