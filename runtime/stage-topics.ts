import {
  offset,
  type Broker,
  type Offset,
  type ReadBatch,
  type TopicPartition,
} from '../broker/broker.ts';
import type { Topics } from '../processors/processor.ts';

/** What is looked up belongs to the batch in hand, which is finished when the stage is to stop (I8). */
const { signal: unstopped } = new AbortController();

/** The topics around a processor, as the broker has them and its group has worked on them. */
export class StageTopics implements Topics {
  readonly #broker: Broker;
  readonly #group: string;
  readonly #signal: AbortSignal;

  constructor(broker: Broker, group: string, signal: AbortSignal) {
    this.#broker = broker;
    this.#group = group;
    this.#signal = signal;
  }

  async *read(at: TopicPartition, from?: { readonly since: number }): AsyncGenerator<ReadBatch> {
    const start = from === undefined ? offset(0) : await this.#broker.offsetAt(at, from.since);
    const signal = from === undefined ? this.#signal : unstopped;
    yield* this.#broker.read({ ...at, next: start }, signal);
  }

  async progress({ topic, partition }: TopicPartition): Promise<{ next: Offset; end: Offset }> {
    const { topics, groups } = await this.#broker.describe();
    const log = topics.find((other) => other.topic === topic)?.offsets[partition];
    const committed = groups
      .find(({ group }) => group === this.#group)
      ?.committed.find((other) => other.topic === topic && other.partition === partition);
    return { next: committed?.next ?? offset(0), end: log?.end ?? offset(0) };
  }
}
