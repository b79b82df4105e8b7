import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../../cli/load-config.ts';
import { componentsOf } from '../../components.ts';
import { removeRunFile, writeRunFile } from '../../console/run-file.ts';
import { Console } from '../../console/server.ts';
import { createLog } from '../../log.ts';
import type { Components } from '../../runtime/components.ts';
import { openPipeline } from '../../runtime/run.ts';

/**
 * What `millrace run` does, with the real sink behind a brake: each write waits first, for so many ms as the
 * first argument says, until SIGUSR2 takes the brake off. A process of its own, so that its memory is its own.
 */
const brakeMs = Number(process.argv[2]);
const released = new AbortController();
process.once('SIGUSR2', () => released.abort());
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());

function braked(components: Components): Components {
  return {
    ...components,
    openSink: async (config, registry) => {
      const sink = await components.openSink(config, registry);
      const waiting = AbortSignal.any([released.signal, stop.signal]);
      return {
        open: sink.open.bind(sink),
        parked: sink.parked.bind(sink),
        resume: sink.resume.bind(sink),
        rebuild: sink.rebuild.bind(sink),
        ...(sink.query === undefined ? {} : { query: sink.query.bind(sink) }),
        write: async (batches, signal) => {
          await sleep(brakeMs, undefined, { signal: waiting }).catch(() => undefined);
          return await sink.write(batches, signal);
        },
        [Symbol.asyncDispose]: () => sink[Symbol.asyncDispose](),
      };
    },
  };
}

const { signal } = stop;
const { pid, env: environment } = process;
const log = createLog('warn');
const nowhere = { out: () => {}, err: () => {}, outIsTTY: false, errIsTTY: false, columns: 80 };
const kill = (): void => {};
const context = { terminal: nowhere, environment, folder: process.cwd(), pid, signal, kill };
const config = await loadConfig('millrace.yaml', context);
{
  const components = braked(componentsOf(config, context, log));
  await using pipeline = await openPipeline(config, components, { log, pid, signal });
  await using server = await Console.open(pipeline, config.http);
  await using stack = new AsyncDisposableStack();
  await writeRunFile(config.broker.path, { pid, url: server.url, token: server.token });
  stack.defer(() => removeRunFile(config.broker.path, pid));
  await pipeline.run(signal);
}
process.exit(0);
