import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { pino } from 'pino';
import type { ReadBatch, RecordBatch, TopicName, TopicPartition } from '../../broker/broker.ts';
import type { Log } from '../../log.ts';
import type { AvroSchema } from '../../schemas/avro.ts';
import type { SchemaRegistry } from '../../schemas/registry.ts';
import { releaseBatches } from '../../broker/segment-memory.ts';
import type { PartitionStart, Rebuild, RebuildFrom, Sink, Written } from '../sink.ts';
import { batchesOf } from './batch-message.ts';
import { Calls, type Answer } from './calls.ts';

/** What a sink thread is started with. */
export interface SinkThreadData {
  readonly options: unknown;
  readonly logLevel: string;
}

export interface HostedParts {
  readonly registry: SchemaRegistry;
  readonly log: Log;
}

/**
 * Runs a sink in this thread for the one that started it: the whole of a sink's worker file. `more` is what
 * it answers beside the port, such as queries.
 */
export function hostSink<S extends Sink>(
  make: (options: never, parts: HostedParts) => S,
  more: (sink: S) => Readonly<Record<string, Answer>> = () => ({}),
): void {
  const port = parentPort as MessagePort;
  const { options, logLevel } = workerData as SinkThreadData;
  const log = pino(
    { level: logLevel, base: null, timestamp: false },
    { write: (line: string) => void calls.call('log', line) },
  );
  const registry: SchemaRegistry = {
    register: (subject, schema) => calls.call<number>('register', { subject, schema }),
    byId: (id) => calls.call<AvroSchema>('byId', id),
    [Symbol.asyncDispose]: () => Promise.resolve(), // Whoever opened it closes it.
  };
  const sink = make(options as never, { registry, log });
  const calls = new Calls(port, {
    open: (partitions: readonly TopicPartition[]) => sink.open(partitions),
    write: (batches: readonly RecordBatch[], signal) => write(sink, batchesOf(batches), signal),
    parked: () => sink.parked(),
    resume: (topic: TopicName) => sink.resume(topic),
    ...rebuilding(sink),
    close: () => Promise.resolve(sink[Symbol.asyncDispose]()),
    ...more(sink),
  });
}

/** Tables that are made anew, each known to the other thread by a number. */
function rebuilding(sink: Sink): Readonly<Record<string, Answer>> {
  const underWay = new Map<number, Rebuild>();
  let last = 0;
  const found = (id: number): Rebuild => {
    const rebuild = underWay.get(id);
    if (rebuild === undefined) throw new TypeError(`there is no rebuild ${id}`);
    return rebuild;
  };
  return {
    rebuild: async ({ topic, from }: { topic: TopicName; from: RebuildFrom }) => {
      const rebuild = await sink.rebuild(topic, from);
      underWay.set(++last, rebuild);
      return last;
    },
    'rebuild.write': ({ id, batches }: { id: number; batches: readonly ReadBatch[] }) =>
      found(id).write(batchesOf(batches)),
    'rebuild.replace': ({ id, starts }: { id: number; starts: readonly PartitionStart[] }) =>
      found(id).replace(starts),
    'rebuild.end': async (id: number) => {
      const rebuild = found(id);
      underWay.delete(id);
      await rebuild[Symbol.asyncDispose]();
    },
  };
}

/** What was sent here is nobody else's. */
async function write(
  sink: Sink,
  batches: readonly RecordBatch[],
  signal: AbortSignal,
): Promise<Written> {
  try {
    return await sink.write(batches, signal);
  } finally {
    releaseBatches(batches);
  }
}
