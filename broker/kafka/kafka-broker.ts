import { randomUUID } from 'node:crypto';
import { MillraceError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import {
  type Broker,
  type BrokerState,
  type Consumed,
  type Offset,
  type Outgoing,
  type PublishOptions,
  type ReadBatch,
  type RecordBatch,
  type Subscription,
  type TopicPartition,
  type TopicSettings,
} from '../broker.ts';
import { Cluster } from './cluster.ts';
import { describe } from './description.ts';
import { isFailure } from './failure.ts';
import { Groups } from './groups.ts';
import { offsetCommit, outsider } from './offset-messages.ts';
import { rangeOf, requireInRange } from './offsets.ts';
import type { KafkaOptions } from './options.ts';
import { offsetAt, read } from './reader.ts';
import { Subscriber } from './subscriber.ts';
import { ensureTopics } from './topics.ts';
import { TransactionalProducer } from './transactional-producer.ts';

/** The port `Broker` over a Kafka cluster. Promises and errors are the port's. */
export class KafkaBroker implements Broker {
  /** For everything that is asked now and then. */
  readonly #cluster: Cluster;
  readonly #publishing: Cluster;
  readonly #producers = new Map<string, TransactionalProducer>();
  readonly #groups = new Groups<Subscriber>();
  readonly #log: Log;
  readonly #closing = new AbortController();
  readonly #subscribers = new Set<Subscriber>();
  readonly #underWay = new Set<Promise<unknown>>();
  #nameless: TransactionalProducer | null = null;

  constructor(options: KafkaOptions, log: Log) {
    this.#cluster = new Cluster(options);
    this.#publishing = new Cluster(options);
    this.#log = log;
  }

  /** Throws BROKER_UNREACHABLE and what else keeps the cluster from being used. */
  async connect(patienceMs?: number): Promise<void> {
    const patience = patienceMs === undefined ? {} : { patienceMs };
    await this.#cluster.attempt(() => this.#cluster.refresh([]), patience);
  }

  async createTopics(topics: readonly TopicSettings[]): Promise<void> {
    this.#requireOpen();
    await ensureTopics(this.#cluster, topics, this.#log);
  }

  publish(outgoing: readonly Outgoing[], by: PublishOptions = {}): Promise<void> {
    const publishing = this.#publish(outgoing, by);
    this.#underWay.add(publishing);
    const settled = (): unknown => this.#underWay.delete(publishing);
    publishing.then(settled, settled);
    return publishing;
  }

  async #publish(outgoing: readonly Outgoing[], by: PublishOptions): Promise<void> {
    this.#requireOpen();
    const { consumed = [], producer } = by;
    const [first] = consumed;
    if (first !== undefined) {
      const { subscriber } = this.#groups.holding(first);
      requireOne(consumed.map((one) => this.#groups.holding(one).subscriber));
      await subscriber.publish(outgoing, consumed);
      return;
    }
    if (outgoing.every(({ records }) => records.count === 0)) return;
    await (producer === undefined ? this.#anyProducer() : this.#named(producer)).publish(
      outgoing,
      null,
    );
  }

  async fence(producer: string): Promise<void> {
    this.#requireOpen();
    await this.#named(producer).takeOver();
  }

  async *subscribe(
    subscription: Subscription,
    signal: AbortSignal,
  ): AsyncGenerator<readonly RecordBatch[]> {
    this.#requireOpen();
    const parts = { groups: this.#groups, other: this.#cluster, closed: this.#closing.signal };
    const subscriber = new Subscriber(subscription, parts);
    this.#subscribers.add(subscriber);
    try {
      yield* subscriber.deliveries(signal);
    } finally {
      this.#subscribers.delete(subscriber);
    }
  }

  async commit(consumed: readonly Consumed[]): Promise<void> {
    this.#requireOpen();
    const holdings = consumed.map((one) => ({ ...this.#groups.holding(one), one }));
    const bySubscriber = Map.groupBy(holdings, ({ subscriber }) => subscriber);
    for (const [subscriber, own] of bySubscriber) {
      await subscriber.commit(own.map(({ one }) => one));
    }
  }

  async *read(
    from: TopicPartition & { readonly next: Offset },
    signal: AbortSignal,
  ): AsyncGenerator<ReadBatch> {
    this.#requireOpen();
    yield* read(this.#cluster, from, AbortSignal.any([signal, this.#closing.signal]));
    this.#requireOpen();
  }

  describe(): Promise<BrokerState> {
    this.#requireOpen();
    return describe(this.#cluster);
  }

  async offsetAt(partition: TopicPartition, timestamp: number): Promise<Offset> {
    this.#requireOpen();
    return offsetAt(this.#cluster, partition, timestamp);
  }

  async seek(group: string, partition: TopicPartition, next: Offset): Promise<void> {
    this.#requireOpen();
    const range = await rangeOf(this.#cluster, partition);
    requireInRange(range, next, { who: `group ${group}`, partition });
    const holding = this.#groups.holderOf(group, partition);
    if (holding !== null) {
      await holding.subscriber.seek(holding.held, next);
      return;
    }
    try {
      const message = offsetCommit(outsider(group), [{ ...partition, next }]);
      await this.#cluster.toCoordinator('group', group, message);
    } catch (cause) {
      if (!isFailure(cause, 'UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'REBALANCE_IN_PROGRESS')) {
        throw cause;
      }
      throw new MillraceError('GROUP_ACTIVE', 'Other processes read for this group.', {
        place: `group ${group}`,
        cause,
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    await Promise.allSettled(this.#underWay);
    await Promise.all([...this.#subscribers].map((subscriber) => subscriber.end()));
    await Promise.all([
      this.#publishing[Symbol.asyncDispose](),
      this.#cluster[Symbol.asyncDispose](),
    ]);
  }

  /** One that is told of nobody, with a name that nobody has: there is nothing that it could fence. */
  #anyProducer(): TransactionalProducer {
    if (this.#nameless === null || this.#nameless.lost) {
      this.#nameless = new TransactionalProducer(this.#publishing, `millrace.${randomUUID()}`);
    }
    return this.#nameless;
  }

  #named(name: string): TransactionalProducer {
    let producer = this.#producers.get(name);
    if (producer === undefined) {
      producer = new TransactionalProducer(this.#publishing, name);
      this.#producers.set(name, producer);
    }
    return producer;
  }

  #requireOpen(): void {
    if (this.#closing.signal.aborted) {
      throw new MillraceError('BROKER_CLOSED', 'The connection to the Kafka cluster was closed.');
    }
  }
}

/** Partitions of several members are committed by each of them: one transaction cannot do that. */
function requireOne(subscribers: readonly Subscriber[]): void {
  if (new Set(subscribers).size === 1) return;
  throw new TypeError('a publish may consume what one subscription has delivered');
}
