import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError } from '../../errors.ts';
import { offset } from '../broker.ts';
import { committedBatches } from './batch-reader.ts';
import type { Cluster } from './cluster.ts';
import { brokerError, isTransient, requireSuccess, isFailure } from './failure.ts';
import { fetch, type FetchedPartition } from './fetch-message.ts';
import type { HeldPartition } from './held-partition.ts';
import { rangeOf } from './offsets.ts';

/** How long a node may wait for records before it answers with none. */
const WAIT_MS = 250;
/** The same while partitions are left out because they have no room: they may have some any moment. */
const WAIT_SHORT_MS = 10;
const RESPONSE_BYTES_MAX = 8 * 1024 * 1024;
const PARTITION_BYTES_MAX = 512 * 1024;
const PATIENCE_MS = 60_000;
const PAUSE_LAST_MS = 500;

/**
 * Reads ahead of a member: one question under way for each node, with all partitions of it that have room.
 * A partition that nobody takes from is left out until somebody does, and holds up no other.
 */
export class Fetching {
  readonly #cluster: Cluster;
  readonly #held: () => Iterable<HeldPartition>;
  readonly #wake: () => void;
  readonly #active = new Set<number>();
  readonly #routing = new Set<HeldPartition>();
  #failure: { readonly error: unknown } | null = null;
  #failingSince: number | null = null;
  #pauseMs = 10;
  #stopped = false;

  constructor(
    cluster: Cluster,
    { held, wake }: { held: () => Iterable<HeldPartition>; wake: () => void },
  ) {
    this.#cluster = cluster;
    this.#held = held;
    this.#wake = wake;
  }

  /** Throws OFFSET_OUT_OF_RANGE, BROKER_UNREACHABLE and what else reading has failed with. */
  requireHealthy(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** To be called when there is room, and when partitions have come. */
  kick(): void {
    if (this.#stopped || this.#failure !== null) return;
    for (const held of this.#held()) {
      if (!held.hasRoom) continue;
      if (held.node === null) void this.#route(held);
      else if (!this.#active.has(held.node)) void this.#readFrom(held.node);
    }
  }

  async #route(held: HeldPartition): Promise<void> {
    if (this.#routing.has(held)) return;
    this.#routing.add(held);
    try {
      held.node = await this.#cluster.attempt(() => this.#cluster.leader(held));
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#routing.delete(held);
    }
    this.kick();
  }

  async #readFrom(node: number): Promise<void> {
    this.#active.add(node);
    try {
      while (!this.#stopped && this.#failure === null) {
        const own = [...this.#held()].filter((held) => held.node === node);
        const wanted = own.filter((held) => held.hasRoom);
        if (wanted.length === 0) break;
        await this.#ask(node, wanted, wanted.length < own.length ? WAIT_SHORT_MS : WAIT_MS);
      }
    } finally {
      this.#active.delete(node);
    }
    this.kick();
  }

  async #ask(node: number, wanted: readonly HeldPartition[], waitMs: number): Promise<void> {
    const questions = wanted.map((held) => ({
      topic: held.topic,
      partition: held.partition,
      next: held.ahead,
    }));
    const message = fetch(questions, {
      waitMs,
      bytesMax: RESPONSE_BYTES_MAX,
      partitionBytesMax: PARTITION_BYTES_MAX,
      rack: this.#cluster.options.rack ?? '',
    });
    try {
      const answers = await (await this.#cluster.node(node)).send(message);
      for (const answer of answers) {
        const index = questions.findIndex(
          ({ topic, partition }) => topic === answer.topic && partition === answer.partition,
        );
        const held = wanted[index];
        // What it asked for is no longer what it wants, if it was moved meanwhile.
        if (held !== undefined && held.ahead === questions[index]?.next) this.#keep(held, answer);
      }
      this.#failingSince = null;
      this.#pauseMs = 10;
    } catch (error) {
      await this.#trouble(error, wanted);
    }
  }

  #keep(held: HeldPartition, answer: FetchedPartition): void {
    if (answer.error !== 0) {
      requireSuccess(answer.error, `${held.topic}-${held.partition}`);
    }
    if (answer.preferredReplica >= 0) held.node = answer.preferredReplica;
    const { topic, partition, ahead: next } = held;
    const committed = committedBatches(answer, { topic, partition, next });
    if (committed.next === next) return;
    held.add(committed);
    this.#wake();
  }

  /** The nodes are looked up again; after a minute without any answer it is an error. */
  async #trouble(error: unknown, wanted: readonly HeldPartition[]): Promise<void> {
    const isOutside = isFailure(error, 'OFFSET_OUT_OF_RANGE');
    const gone = isOutside ? await outOfRange(this.#cluster, wanted).catch(brokerError) : null;
    if (gone !== null) {
      this.#fail(gone);
      return;
    }
    const now = Date.now();
    this.#failingSince ??= now;
    if (this.#stopped) return;
    // A replica that lags has not got there yet: its leader has.
    if (!(isTransient(error) || isOutside) || now - this.#failingSince > PATIENCE_MS) {
      this.#fail(error);
      return;
    }
    this.#cluster.forget();
    for (const held of wanted) held.node = null;
    await delay(this.#pauseMs);
    this.#pauseMs = Math.min(2 * this.#pauseMs, PAUSE_LAST_MS);
  }

  #fail(error: unknown): void {
    if (this.#stopped) return;
    this.#failure ??= { error: brokerError(error) };
    this.#wake();
  }
}

/** I4: records that retention took before they were read are said, never skipped. Null if all are there. */
async function outOfRange(
  cluster: Cluster,
  wanted: readonly HeldPartition[],
): Promise<MillraceError | null> {
  for (const { group, topic, partition, ahead } of wanted) {
    const { start, end } = await rangeOf(cluster, { topic, partition });
    if (ahead >= start && ahead <= end) continue;
    return new MillraceError('OFFSET_OUT_OF_RANGE', `group ${group} needs offset ${ahead}.`, {
      place: `${topic}-${partition}`,
      expected: `an offset from ${offset(start)} to ${end}`,
    });
  }
  return null;
}
