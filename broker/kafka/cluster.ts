import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError } from '../../errors.ts';
import type { TopicPartition } from '../broker.ts';
import {
  type CoordinatorKind,
  findCoordinator,
  metadata,
  type Metadata,
  type NodeAddress,
  type TopicMetadata,
} from './cluster-messages.ts';
import {
  brokerError,
  type FailureName,
  isFailure,
  KafkaFailure,
  requireSuccess,
} from './failure.ts';
import type { Message } from './message.ts';
import { NodeConnection } from './node-connection.ts';
import type { KafkaOptions } from './options.ts';

/** Failures that say "wait", and nothing of who leads what. */
const WAITING: ReadonlySet<FailureName> = new Set([
  'CONCURRENT_TRANSACTIONS',
  'UNSTABLE_OFFSET_COMMIT',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'NOT_ENOUGH_REPLICAS',
]);
/** How long something is tried again before it is an error. */
const PATIENCE_MS = 60_000;
const UNKNOWN_TOPIC = 3;
const WAIT_FIRST_MS = 5;
const WAIT_LAST_MS = 500;

/**
 * The nodes of a cluster as one user of it sees them: who leads a partition, who coordinates a group. It has
 * connections of its own, because a node answers the requests of a connection one after another, and some
 * answers take long.
 */
export class Cluster implements AsyncDisposable {
  readonly options: KafkaOptions;
  readonly #nodes = new Map<number, { address: NodeAddress; connection: NodeConnection }>();
  readonly #topics = new Map<string, TopicMetadata>();
  readonly #coordinators = new Map<string, number>();
  #controller = -1;
  #seed: NodeConnection | null = null;
  #seedIndex = 0;
  #closed = false;

  constructor(options: KafkaOptions) {
    this.options = options;
  }

  /**
   * Does the work again while the cluster says that it is a matter of time, with what was learnt of it
   * forgotten. Throws the last failure as an error of ours.
   */
  async attempt<T>(
    work: () => Promise<T>,
    { signal, patienceMs = PATIENCE_MS }: { signal?: AbortSignal; patienceMs?: number } = {},
  ): Promise<T> {
    const deadline = Date.now() + patienceMs;
    for (let waitMs = WAIT_FIRST_MS; ; waitMs = Math.min(waitMs * 2, WAIT_LAST_MS)) {
      try {
        return await work();
      } catch (error) {
        const again = error instanceof KafkaFailure && error.transient && Date.now() < deadline;
        if (!again || this.#closed || signal?.aborted === true) throw brokerError(error);
        this.#learn(error);
        await delay(waitMs);
      }
    }
  }

  /** Sends to the node that coordinates a group or a transactional id, again while it must be. */
  toCoordinator<Answer>(
    kind: CoordinatorKind,
    key: string,
    message: Message<Answer>,
  ): Promise<Answer> {
    return this.attempt(async () => (await this.coordinator(kind, key)).send(message));
  }

  async coordinator(kind: CoordinatorKind, key: string): Promise<NodeConnection> {
    const name = `${kind} ${key}`;
    let id = this.#coordinators.get(name);
    if (id === undefined) {
      id = await this.#ask(findCoordinator(key, kind));
      this.#coordinators.set(name, id);
    }
    return this.node(id);
  }

  /** @throws TOPIC_UNKNOWN */
  async partitions(topic: string): Promise<number> {
    return this.attempt(async () => (await this.#topic(topic)).leaders.length);
  }

  /** Node that leads a partition. Throws TOPIC_UNKNOWN, and a `KafkaFailure` while there is none. */
  async leader({ topic, partition }: TopicPartition): Promise<number> {
    const { leaders } = await this.#topic(topic);
    const leader = leaders[partition];
    if (leader === undefined) {
      throw new MillraceError('TOPIC_UNKNOWN', `${topic} has no partition ${partition}.`, {
        place: `${topic}-${partition}`,
      });
    }
    if (leader < 0) throw new KafkaFailure('LEADER_NOT_AVAILABLE', `${topic}-${partition}`);
    return leader;
  }

  /** Sends to each leader its part of a request that concerns partitions; answers in no order. */
  async toLeaders<P extends TopicPartition, Answer>(
    partitions: readonly P[],
    message: (partitions: readonly P[]) => Message<readonly Answer[]>,
  ): Promise<Answer[]> {
    return this.attempt(async () => {
      const leaders = await Promise.all(partitions.map((partition) => this.leader(partition)));
      const byLeader = Map.groupBy(partitions.keys(), (index) => leaders[index] as number);
      const answers = await Promise.all(
        [...byLeader].map(async ([node, indices]) =>
          (await this.node(node)).send(message(indices.map((index) => partitions[index] as P))),
        ),
      );
      return answers.flat();
    });
  }

  async node(id: number): Promise<NodeConnection> {
    if (!this.#nodes.has(id)) await this.refresh([]);
    const found = this.#nodes.get(id);
    if (found === undefined) throw new KafkaFailure('BROKER_NOT_AVAILABLE', `node ${id}`);
    return found.connection;
  }

  async controller(): Promise<NodeConnection> {
    if (this.#controller < 0) await this.refresh([]);
    return this.node(this.#controller);
  }

  /** All nodes that are there now. */
  async nodes(): Promise<readonly NodeConnection[]> {
    await this.refresh([]);
    return [...this.#nodes.values()].map(({ connection }) => connection);
  }

  /** Asks what the cluster has; null for all topics. */
  async refresh(topics: readonly string[] | null): Promise<Metadata> {
    const found = await this.#ask(metadata(topics));
    this.#controller = found.controller;
    for (const address of found.nodes) this.#know(address);
    if (this.#nodes.size > 0) this.#dropSeed();
    for (const topic of found.topics) {
      if (topic.error === 0) this.#topics.set(topic.topic, topic);
    }
    return found;
  }

  /** What was learnt may be wrong: to be asked anew. */
  forget(): void {
    this.#topics.clear();
    this.#coordinators.clear();
    this.#controller = -1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const connections = [...this.#nodes.values()].map(({ connection }) => connection);
    if (this.#seed !== null) connections.push(this.#seed);
    await Promise.all(connections.map((connection) => connection.close()));
  }

  async #topic(topic: string): Promise<TopicMetadata> {
    const known = this.#topics.get(topic);
    if (known !== undefined) return known;
    const [found] = (await this.refresh([topic])).topics;
    if (found === undefined || found.error === UNKNOWN_TOPIC) {
      throw new MillraceError('TOPIC_UNKNOWN', `There is no topic ${topic}.`, { place: topic });
    }
    requireSuccess(found.error, `topic ${topic}`);
    return found;
  }

  #learn(failure: KafkaFailure): void {
    if (!WAITING.has(failure.failure)) this.forget();
  }

  #know(address: NodeAddress): void {
    const known = this.#nodes.get(address.id);
    if (known?.address.host === address.host && known.address.port === address.port) return;
    void known?.connection.close();
    const connection = new NodeConnection(this.options, address);
    this.#nodes.set(address.id, { address, connection });
  }

  /** Asks any node that answers: those we know, then the configured ones. */
  async #ask<Answer>(message: Message<Answer>): Promise<Answer> {
    let failure: unknown = new KafkaFailure('UNREACHABLE', 'The connections were closed.');
    if (this.#closed) throw failure;
    for (const connection of this.#candidates()) {
      try {
        return await connection.send(message);
      } catch (error) {
        if (!isFailure(error, 'UNREACHABLE')) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  *#candidates(): Generator<NodeConnection> {
    for (const { connection } of this.#nodes.values()) yield connection;
    const { brokers } = this.options;
    for (let tries = 0; tries < brokers.length; tries++) {
      this.#seed ??= new NodeConnection(
        this.options,
        hostAndPort(brokers[this.#seedIndex] as string),
      );
      yield this.#seed;
      // It has not answered, or the generator would not go on.
      this.#dropSeed();
      this.#seedIndex = (this.#seedIndex + 1) % brokers.length;
    }
  }

  #dropSeed(): void {
    void this.#seed?.close();
    this.#seed = null;
  }
}

/** `host:port` or `[address]:port`. */
export function hostAndPort(broker: string): { host: string; port: number } {
  const at = broker.lastIndexOf(':');
  const host = broker.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  return { host, port: Number(broker.slice(at + 1)) };
}
