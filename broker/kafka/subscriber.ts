import { MillraceError } from '../../errors.ts';
import type { Consumed, Outgoing, RecordBatch, Subscription, TopicPartition } from '../broker.ts';
import { Wake } from '../wake.ts';
import { Cluster } from './cluster.ts';
import { isFenced } from './failure.ts';
import { Fetching } from './fetching.ts';
import { GroupMember } from './group-member.ts';
import type { Membership } from './group-messages.ts';
import type { Groups } from './groups.ts';
import { HeldPartition } from './held-partition.ts';
import { offsetCommit, offsetFetch } from './offset-messages.ts';
import { nameOf, type OffsetTable, startsOf, tableOf } from './offsets.ts';
import { TransactionalProducer } from './transactional-producer.ts';

/** Upper bound of one delivery unless the subscriber names another. */
const DELIVERY_BYTES_MAX = 4 * 1024 * 1024;

/** How long a member that has paused partitions waits for records of others. */
const PAUSED_MS_MAX = 50;

export interface SubscriberParts {
  readonly groups: Groups<Subscriber>;
  /** Whose connections are free when a member has to leave while it waits for something. */
  readonly other: Cluster;
  /** Aborts when the broker is closed. */
  readonly closed: AbortSignal;
}

/**
 * A member of a group, from joining to leaving it; see `Broker.subscribe`. When the group shares out anew
 * it finishes its batch in hand first; it keeps what stays with it, and forgets what it loses.
 */
export class Subscriber {
  readonly #subscription: Subscription;
  readonly #parts: SubscriberParts;
  readonly #cluster: Cluster;
  readonly #held = new Map<string, HeldPartition>();
  readonly #producers = new Map<string, TransactionalProducer>();
  #membership: Membership;
  #ending: Promise<void> | null = null;
  #leave: () => Promise<void> = async () => undefined;

  constructor(subscription: Subscription, parts: SubscriberParts) {
    this.#subscription = subscription;
    this.#parts = parts;
    this.#cluster = new Cluster(parts.other.options);
    this.#membership = { group: subscription.group, generation: -1, member: '' };
  }

  async *deliveries(signal: AbortSignal): AsyncGenerator<readonly RecordBatch[]> {
    const { closed, other } = this.#parts;
    const ending = AbortSignal.any([signal, closed]);
    using awaited = new Wake(ending);
    const wake = (): void => awaited.wake();
    const { group, topics } = this.#subscription;
    const member = new GroupMember(this.#cluster, { group, topics, wake });
    const fetching = new Fetching(this.#cluster, { held: () => this.#held.values(), wake });
    this.#leave = async () => {
      fetching.stop();
      await member.leave(other);
    };
    try {
      for (const topic of topics) await this.#cluster.partitions(topic);
      for (let turn = 0; !signal.aborted; turn++) {
        requireOpen(closed);
        member.requireHealthy();
        fetching.requireHealthy();
        if (member.mustJoin) {
          await this.#rejoin(member, ending);
          if (ending.aborted) continue;
          fetching.kick();
        }
        const paused = this.#subscription.paused?.() ?? [];
        const delivery = this.#next(turn, paused);
        fetching.kick();
        if (delivery.length === 0) {
          await this.#passMarks();
          await awaited.woken(paused.length > 0 ? PAUSED_MS_MAX : null);
        }
        if (delivery.length > 0 || (paused.length > 0 && !signal.aborted)) yield delivery;
      }
    } finally {
      await this.end();
    }
  }

  /** Leaves the group: what was delivered is stale. */
  end(): Promise<void> {
    return (this.#ending ??= this.#end());
  }

  async #end(): Promise<void> {
    for (const held of this.#held.values()) this.#parts.groups.release(held);
    this.#held.clear();
    await this.#leave();
    await this.#cluster[Symbol.asyncDispose]();
  }

  /** I5: records and offsets are one transaction. `consumed` is of this subscriber, and valid. */
  async publish(outgoing: readonly Outgoing[], consumed: readonly Consumed[]): Promise<void> {
    const membership = this.#membership;
    // Also where nothing has moved on: it is what the transaction is fenced by.
    const offsets = this.#reached(consumed);
    if (outgoing.every(({ records }) => records.count === 0)) {
      await this.#commit(membership, offsets);
      return;
    }
    const [first] = [...this.#held.values()].map((held) => this.#idOf(held)).sort();
    const producer = this.#producer(first as string);
    await producer.publish(outgoing, { membership, offsets });
    this.#committed(offsets);
  }

  async commit(consumed: readonly Consumed[]): Promise<void> {
    await this.#commit(this.#membership, this.#reached(consumed));
  }

  /** Moves the group, also backwards (I2); what was delivered of the partition is stale. */
  async seek(held: HeldPartition, next: number): Promise<void> {
    const { groups } = this.#parts;
    const { topic, partition } = held;
    groups.release(held);
    const message = offsetCommit(this.#membership, [{ topic, partition, next }]);
    await this.#cluster.toCoordinator('group', held.group, message);
    held.restart(next, groups.next());
    groups.hold(held, this);
  }

  async #rejoin(member: GroupMember, ending: AbortSignal): Promise<void> {
    const { groups } = this.#parts;
    const { revoked } = this.#subscription;
    const joining = member.join([...this.#held.values()].map(partitionOf));
    const generation = await unlessAborted(joining, ending);
    if (generation === null) return;
    this.#membership = generation.membership;
    const mine = new Set(generation.partitions.map(nameOf));
    const lost = [...this.#held].filter(([name]) => !generation.continues || !mine.has(name));
    for (const [name, held] of lost) {
      this.#held.delete(name);
      groups.release(held);
    }
    if (lost.length > 0) await revoked?.(lost.map(([, held]) => partitionOf(held)));
    const gained = generation.partitions.filter((partition) => !this.#held.has(nameOf(partition)));
    if (gained.length === 0) return;
    const standing = await unlessAborted(this.#takeOver(gained), ending);
    if (standing !== null) await this.#begin(gained, standing);
  }

  /**
   * First the ones before are fenced, then it is read where they stood: never the other way round.
   * Returns where each partition goes on.
   */
  async #takeOver(gained: readonly TopicPartition[]): Promise<OffsetTable> {
    const { group, publishes = false } = this.#subscription;
    for (const partition of gained) this.#producers.delete(this.#idOf(partition));
    if (publishes) {
      await Promise.all(
        gained.map((partition) => this.#producer(this.#idOf(partition)).takeOver()),
      );
    }
    const message = offsetFetch(group, gained);
    const committed = tableOf(await this.#cluster.toCoordinator('group', group, message));
    const starts = await startsOf(this.#cluster, gained);
    return new Map([...starts, ...committed]);
  }

  async #begin(gained: readonly TopicPartition[], standing: OffsetTable): Promise<void> {
    const { group, assigned } = this.#subscription;
    const chosen = tableOf((await assigned?.(gained)) ?? []);
    if (this.#ending !== null) return;
    const ahead: Consumed[] = [];
    for (const partition of gained) {
      const name = nameOf(partition);
      const before = standing.get(name) ?? 0;
      const next = chosen.get(name) ?? before;
      const generation = this.#parts.groups.next();
      const held = new HeldPartition(partition, { group, generation, next, committed: before });
      this.#held.set(name, held);
      this.#parts.groups.hold(held, this);
      if (next > before)
        ahead.push({ ...partition, group, generation, next: next as Consumed['next'] });
    }
    // Or a sink that crashed before its commit would seem to be behind until the next record comes.
    if (ahead.length > 0) await this.commit(ahead);
  }

  /** One batch of each partition that has records, shared out fairly; another begins each turn. */
  #next(turn: number, paused: readonly TopicPartition[]): readonly RecordBatch[] {
    const { bytesMax = DELIVERY_BYTES_MAX, recordsMax = Infinity } = this.#subscription;
    const waiting = new Set(paused.map(nameOf));
    const behind = [...this.#held.values()].filter(
      (held) => held.hasRecords && !waiting.has(nameOf(held)),
    );
    const batches: RecordBatch[] = [];
    let most = bytesMax;
    let records = recordsMax;
    for (let index = 0; index < behind.length && most > 0 && records > 0; index++) {
      const held = behind[(index + turn) % behind.length] as HeldPartition;
      const share = 1 / (behind.length - index);
      const batch = held.take({
        wanted: Math.ceil(most * share),
        most,
        records: Math.ceil(records * share),
        first: batches.length === 0,
      });
      if (batch === null) continue;
      batches.push(batch);
      most -= batch.bytes;
      records -= batch.count;
    }
    return batches;
  }

  /** I2: never behind what is committed already, whatever order commits come in. */
  #reached(consumed: readonly Consumed[]): Reached[] {
    return consumed.map((one) => {
      const { held } = this.#parts.groups.holding(one);
      const next = Math.max(held.reached(one.next), held.committed);
      return { held, ...partitionOf(held), next };
    });
  }

  /** Or a group that has done everything would seem to be behind by the marks at the end. */
  async #passMarks(): Promise<void> {
    const passed = [...this.#held.values()].filter((held) => held.isPastMarks);
    const offsets = passed.map((held) => ({ held, ...partitionOf(held), next: held.ahead }));
    await this.#commit(this.#membership, offsets).catch((error: unknown) => {
      // It is for what is shown as waiting; who really has to commit will be told.
      if (!isFenced(error)) throw error;
    });
  }

  async #commit(membership: Membership, offsets: readonly Reached[]): Promise<void> {
    const ahead = offsets.filter(({ held, next }) => next > held.committed);
    if (ahead.length === 0) return;
    const message = offsetCommit(membership, ahead);
    await this.#cluster.toCoordinator('group', membership.group, message);
    this.#committed(ahead);
  }

  #committed(offsets: readonly Reached[]): void {
    for (const { held, next } of offsets) held.committed = Math.max(held.committed, next);
  }

  /** One transactional id for each partition of each group: finite, and the same after a crash. */
  #idOf({ topic, partition }: TopicPartition): string {
    return `${this.#subscription.group}.${topic}.${partition}`;
  }

  #producer(id: string): TransactionalProducer {
    let producer = this.#producers.get(id);
    if (producer === undefined) {
      producer = new TransactionalProducer(this.#cluster, id);
      this.#producers.set(id, producer);
    }
    return producer;
  }
}

interface Reached extends TopicPartition {
  readonly held: HeldPartition;
  readonly next: number;
}

const partitionOf = ({ topic, partition }: TopicPartition): TopicPartition => ({
  topic,
  partition,
});

function requireOpen(closed: AbortSignal): void {
  if (!closed.aborted) return;
  throw new MillraceError('BROKER_CLOSED', 'The broker was closed under a subscription.');
}

/** Null if the signal aborts before the work is done; then its outcome is nobody's. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | null> {
  work.catch(() => undefined);
  if (signal.aborted) return null;
  const { promise, resolve } = Promise.withResolvers<null>();
  const abort = (): void => resolve(null);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
