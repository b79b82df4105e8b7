import { assign } from '../assignment.ts';
import { topicName, type TopicPartition } from '../broker.ts';
import type { Cluster } from './cluster.ts';
import { brokerError, isFailure, isTransient, requireSuccess } from './failure.ts';
import {
  heartbeat,
  joinGroup,
  type Joined,
  leaveGroup,
  type Membership,
  syncGroup,
} from './group-messages.ts';
import {
  readShare,
  readSubscription,
  type Subscribed,
  writeShare,
  writeSubscription,
} from './group-protocol.ts';
import { byTopic } from './offset-messages.ts';

/** All members of a group share partitions out in this way: nobody moves what need not move. */
const PROTOCOL = 'millrace-sticky';
const SESSION_TIMEOUT_MS = 15_000;
/** How long the group waits for a member to finish its batch in hand. */
const REBALANCE_TIMEOUT_MS = 120_000;
const HEARTBEAT_MS = 1_000;
const MEMBER_ID_REQUIRED = 79;

/** What a member has from joining until it joins again. */
export interface Generation {
  readonly membership: Membership;
  readonly partitions: readonly TopicPartition[];
  /** Whether this member took part in the generation before: what it kept was nobody else's in between. */
  readonly continues: boolean;
}

/**
 * A member of a group, from joining to leaving it. Heartbeats go on by themselves, whatever the member
 * does meanwhile; when the group wants to share out anew, {@link GroupMember.mustJoin} says so.
 *
 * Source: KIP-62, KIP-394, KIP-345; the Kafka protocol guide on groups.
 */
export class GroupMember implements AsyncDisposable {
  readonly #cluster: Cluster;
  readonly #group: string;
  readonly #topics: readonly string[];
  readonly #wake: () => void;
  #member = '';
  #generation = -1;
  #beating = false;
  #joining = false;
  #timer: NodeJS.Timeout | null = null;
  #failure: { readonly error: unknown } | null = null;
  mustJoin = true;

  constructor(
    cluster: Cluster,
    { group, topics, wake }: { group: string; topics: readonly string[]; wake: () => void },
  ) {
    this.#cluster = cluster;
    this.#group = group;
    this.#topics = topics;
    this.#wake = wake;
  }

  /** Throws what a heartbeat has failed with, if joining again is no remedy. */
  requireHealthy(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }

  /** Joins, or joins again, with what it holds. Waits until the others have. */
  async join(owned: readonly TopicPartition[]): Promise<Generation> {
    this.#joining = true;
    try {
      return await this.#join(owned);
    } finally {
      this.#joining = false;
    }
  }

  async #join(owned: readonly TopicPartition[]): Promise<Generation> {
    const before = this.#generation;
    for (;;) {
      this.mustJoin = false;
      // What it held before a generation that it has missed may be in other hands by now.
      const kept = this.#generation === -1 || this.#generation !== before ? [] : owned;
      const subscribed = { topics: this.#topics, generation: this.#generation, owned: kept };
      const joined = await this.#ask(writeSubscription(subscribed));
      if (joined === null) continue;
      this.#member = joined.member;
      const { generation } = joined;
      const continues = this.#generation !== -1 && generation === before + 1;
      this.#generation = generation;
      const membership = this.#membership();
      try {
        const shares = joined.leader === joined.member ? await this.#shareOut(joined) : new Map();
        const message = syncGroup(membership, shares);
        const share = await this.#cluster.toCoordinator('group', this.#group, message);
        this.#timer ??= setInterval(() => void this.#beat(), HEARTBEAT_MS).unref();
        return { membership, partitions: readShare(share), continues };
      } catch (error) {
        if (!this.#isOutrun(error)) throw error;
      }
    }
  }

  /** Leaves at once, so that nobody waits for the session to end. `by` has connections that are free. */
  async leave(by: Cluster): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    if (this.#member === '') return;
    const message = leaveGroup(this.#membership());
    try {
      await by.attempt(async () => (await by.coordinator('group', this.#group)).send(message), {
        patienceMs: 2_000,
      });
    } catch {
      // The session ends by itself.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave(this.#cluster);
  }

  #membership(): Membership {
    return { group: this.#group, generation: this.#generation, member: this.#member };
  }

  /** Null if it is to be asked again. */
  async #ask(subscription: Buffer): Promise<Joined | null> {
    const { sessionTimeoutMs = SESSION_TIMEOUT_MS } = this.#cluster.options;
    const message = joinGroup({
      group: this.#group,
      member: this.#member,
      sessionTimeoutMs,
      rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
      protocol: PROTOCOL,
      subscription,
    });
    try {
      return await this.#cluster.attempt(async () => {
        const joined = await (await this.#cluster.coordinator('group', this.#group)).send(message);
        if (joined.error === MEMBER_ID_REQUIRED) {
          this.#member = joined.member;
          return null;
        }
        requireSuccess(joined.error, `group ${this.#group}`);
        return joined;
      });
    } catch (error) {
      if (!this.#isOutrun(error)) throw error;
      return null;
    }
  }

  /** Whether the group has gone on without it: then it starts as a new member, with nothing. */
  #isOutrun(error: unknown): boolean {
    if (isFailure(error, 'REBALANCE_IN_PROGRESS')) return true;
    if (!isFailure(error, 'UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'FENCED_INSTANCE_ID')) {
      return false;
    }
    this.#forgetItself();
    return true;
  }

  #forgetItself(): void {
    this.#member = '';
    this.#generation = -1;
  }

  async #shareOut({ members }: Joined): Promise<ReadonlyMap<string, Buffer>> {
    const claimants = members.map(({ member, subscription }) => ({
      member,
      ...readSubscription(subscription),
    }));
    const topics = [...new Set(claimants.flatMap((claimant) => [...claimant.topics]))];
    const partitions: TopicPartition[] = [];
    for (const topic of topics.toSorted()) {
      const count = await this.#cluster.partitions(topic);
      for (let partition = 0; partition < count; partition++) {
        partitions.push({ topic: topicName(topic), partition });
      }
    }
    const holders = holdersOf(claimants);
    const byName = claimants.toSorted((a, b) => (a.member < b.member ? -1 : 1));
    const target = assign(partitions, byName, (partition) => holders.get(nameOf(partition)));
    return new Map(
      claimants.map((claimant) => {
        const own = partitions.filter((partition) => target.get(partition) === claimant);
        return [claimant.member, writeShare(byTopic(own))];
      }),
    );
  }

  async #beat(): Promise<void> {
    if (this.#beating || this.#joining || this.#member === '') return;
    this.#beating = true;
    const generation = this.#generation;
    try {
      const message = heartbeat(this.#membership());
      await (await this.#cluster.coordinator('group', this.#group)).send(message);
    } catch (error) {
      if (generation === this.#generation) this.#heard(error);
    } finally {
      this.#beating = false;
    }
  }

  #heard(error: unknown): void {
    if (this.#isOutrun(error)) this.mustJoin = true;
    else if (isTransient(error)) this.#cluster.forget();
    else this.#failure = { error: brokerError(error) };
    this.#wake();
  }
}

type Claimant = Subscribed & { readonly member: string };

const nameOf = ({ topic, partition }: TopicPartition): string => `${topic}-${partition}`;

/** Who holds a partition by its own account; where two say so, whoever was in the group later. */
function holdersOf(claimants: readonly Claimant[]): ReadonlyMap<string, Claimant> {
  const holders = new Map<string, Claimant>();
  for (const claimant of claimants.toSorted((a, b) => a.generation - b.generation)) {
    for (const partition of claimant.owned) holders.set(nameOf(partition), claimant);
  }
  return holders;
}
