import { Worker } from 'node:worker_threads';
import type { Offset, RecordBatch, TopicName, TopicPartition } from '../../broker/broker.ts';
import type { AvroSchema } from '../../schemas/avro.ts';
import type { ParkedTable, Rebuild, RebuildFrom, Sink, Written } from '../sink.ts';
import { batchMessage } from './batch-message.ts';
import { Calls } from './calls.ts';
import type { HostedParts, SinkThreadData } from './sink-host.ts';

/**
 * A sink that works in a thread of its own, so that decoding rows takes nothing from the stages of this
 * one. Whole deliveries go there, their memory with them; a sink's promises and errors are the same.
 */
export class SinkThread implements Sink {
  readonly #worker: Worker;
  readonly #calls: Calls;

  /** `file` calls `hostSink`; `options` can be cloned. */
  constructor(file: URL, options: unknown, { registry, log }: HostedParts) {
    const workerData: SinkThreadData = { options, logLevel: log.level };
    this.#worker = new Worker(file, { workerData });
    this.#calls = new Calls(this.#worker, {
      byId: (id: number) => registry.byId(id),
      register: ({ subject, schema }: { subject: string; schema: AvroSchema }) =>
        registry.register(subject, schema),
      log: async (line: string) => {
        const { level, msg, ...fields } = JSON.parse(line) as { level: number; msg: string };
        const label = log.levels.labels[level] as 'info';
        log[label](fields, msg);
      },
    });
    this.#worker.on('error', (error) => this.#calls.end(error));
    this.#worker.on('exit', () => this.#calls.end(new Error('the thread of a sink has ended')));
  }

  open(
    partitions: readonly TopicPartition[],
  ): Promise<readonly (TopicPartition & { readonly next: Offset })[]> {
    return this.#calls.call('open', partitions);
  }

  /** Takes the batches' bytes: where it can, they go to the other thread without a copy. */
  async write(given: readonly RecordBatch[], signal: AbortSignal): Promise<Written> {
    signal.throwIfAborted();
    const { batches, transfer } = batchMessage(given);
    return this.#calls.call('write', batches, { transfer, signal });
  }

  parked(): Promise<readonly ParkedTable[]> {
    return this.#calls.call('parked', null);
  }

  resume(topic: TopicName): Promise<void> {
    return this.#calls.call('resume', topic);
  }

  async rebuild(topic: TopicName, from: RebuildFrom): Promise<Rebuild> {
    const calls = this.#calls;
    const id = await calls.call<number>('rebuild', { topic, from });
    return {
      write: async (given) => {
        const { batches, transfer } = batchMessage(given);
        await calls.call('rebuild.write', { id, batches }, { transfer });
      },
      replace: (starts) => calls.call('rebuild.replace', { id, starts }),
      [Symbol.asyncDispose]: () => calls.call('rebuild.end', id),
    };
  }

  /** Asks for what the sink answers beside the port. */
  ask<T>(name: string, given: unknown, signal?: AbortSignal): Promise<T> {
    return this.#calls.call(name, given, { signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#calls.call('close', null);
    } finally {
      await this.#worker.terminate();
    }
  }
}
