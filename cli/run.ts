import type { Command } from 'commander';
import { componentsOf } from '../components.ts';
import type { Config } from '../config.ts';
import { removeRunFile, writeRunFile } from '../console/run-file.ts';
import { MillraceError } from '../errors.ts';
import { createLog } from '../log.ts';
import { armed, type Reach } from '../runtime/failpoints.ts';
import { isAbort } from '../runtime/retry.ts';
import { hasRun } from './has-run.ts';
import { loadConfig } from './load-config.ts';
import { ProgressDisplay } from './progress.ts';
import { type CliContext, shortPath } from './terminal.ts';
import { topicsPlace } from './topics-place.ts';
import { type CommonOptions, verb } from './verb.ts';

interface RunOptions extends CommonOptions {
  readonly resnapshot?: true;
}

export function runCommand(context: CliContext): Command {
  return verb('run', 'Run the pipeline until SIGINT or SIGTERM')
    .option('--resnapshot', 'forget the position in the source and copy all tables again')
    .action(async (options: RunOptions) => {
      const config = await loadConfig(options.config, context);
      try {
        await run(config, options, context);
      } catch (error) {
        // A signal while it starts is a stop like any other.
        if (!(context.signal.aborted && isAbort(error))) throw error;
      }
    });
}

/** Opens everything, runs until the signal aborts, closes in reverse. */
async function run(config: Config, options: RunOptions, context: CliContext): Promise<void> {
  const { pid, signal, terminal } = context;
  // Loaded here: no other verb needs what runs a pipeline.
  const { openPipeline } = await import('../runtime/run.ts');
  const { Console } = await import('../console/server.ts');
  const log = createLog(config.log.level);
  const folder = config.broker.path;
  await using pipeline = await openPipeline(config, componentsOf(config, context, log), {
    log,
    pid,
    signal,
    startOver: options.resnapshot === true,
    // After its first start it waits for a source that is away.
    patient: hasRun(config),
    reach: failpoint(context),
  });
  await using server = await Console.open(pipeline, config.http);
  await using stack = new AsyncDisposableStack();
  await writeRunFile(folder, { pid, url: server.url, token: server.token });
  stack.defer(() => removeRunFile(folder, pid));

  const startedAt = performance.now();
  if (options.json === true) {
    const tables = pipeline.topology.tables.map(({ table }) => table);
    const started = { event: 'started', pipeline: config.pipeline, pid, url: server.url, tables };
    terminal.out(`${JSON.stringify(started)}\n`);
  } else {
    terminal.out(
      `${summary(config, { tables: pipeline.topology.tables.length, url: server.url }, context)}\n`,
    );
    stack.use(new ProgressDisplay(terminal, () => pipeline.snapshot));
  }
  await pipeline.run(signal);
  await stack.disposeAsync();
  if (options.json === true) {
    terminal.out(
      `${JSON.stringify({ event: 'stopped', ranMs: Math.round(performance.now() - startedAt) })}\n`,
    );
  } else {
    terminal.out('stopped; the next run goes on from here\n');
  }
}

function summary(
  config: Config,
  { tables, url }: { readonly tables: number; readonly url: string },
  context: CliContext,
): string {
  const sinks = config.sinks.map(({ name, path }) => `${name} ${shortPath(path, context)}`);
  const what = `${tables} ${tables === 1 ? 'table' : 'tables'} of ${config.source.kind}`;
  return [
    `${config.pipeline}  ${what} → ${topicsPlace(config, context)} → ${sinks.join(', ')}`,
    `console  ${url}/status   stop with Ctrl-C`,
  ].join('\n');
}

function failpoint(context: CliContext): Reach {
  try {
    return armed(context.environment['MILLRACE_FAILPOINT'], context.kill);
  } catch (cause) {
    throw new MillraceError('USAGE', 'MILLRACE_FAILPOINT names no failpoint', {
      place: 'the environment variable MILLRACE_FAILPOINT',
      ...(cause instanceof Error ? { expected: cause.message } : {}),
      cause,
    });
  }
}
