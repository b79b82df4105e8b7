import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { MillraceError } from '../../errors.ts';
import type { HostedParts } from '../thread/sink-host.ts';
import { SinkThread } from '../thread/sink-thread.ts';
import type { QueryOptions, QueryResult } from './query.ts';
import type { DuckdbOptions, DuckdbSink } from './sink.ts';

const file = new URL(`./worker${extname(import.meta.filename)}`, import.meta.url);

/** DuckDB's lock on a file holds off other processes, but not another thread of this one. */
const inUse = new Set<string>();

/** The same as `duckdbSink`, in a thread of its own. Throws `SINK_IN_USE` if a thread has the file already. */
export function duckdbSinkInThread(options: DuckdbOptions, parts: HostedParts): DuckdbSink {
  const path = canonical(options.path);
  if (inUse.has(path)) {
    throw new MillraceError('SINK_IN_USE', `${options.path} is open in another sink`, {
      place: options.path,
    });
  }
  const thread = new SinkThread(file, options, parts);
  inUse.add(path);
  return {
    open: (partitions) => thread.open(partitions),
    write: (batches, signal) => thread.write(batches, signal),
    parked: () => thread.parked(),
    resume: (topic) => thread.resume(topic),
    rebuild: (topic, from) => thread.rebuild(topic, from),
    query: (sql, { signal, ...rest }: QueryOptions = {}) =>
      thread.ask<QueryResult>('query', { sql, options: rest }, signal),
    pending: (target, shape) => thread.ask('pending', { target, shape }),
    held: () => thread.ask('held', null),
    [Symbol.asyncDispose]: async () => {
      try {
        await thread[Symbol.asyncDispose]();
      } finally {
        inUse.delete(path);
      }
    },
  };
}

function canonical(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // It is not there yet, and its folder may be reached by several ways.
    const folder = dirname(resolve(path));
    return join(existsSync(folder) ? realpathSync(folder) : folder, basename(path));
  }
}
