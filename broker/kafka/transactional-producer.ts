import { MillraceError } from '../../errors.ts';
import type { Outgoing, TopicPartition } from '../broker.ts';
import type { RecordWriter } from '../records.ts';
import { encodeBatches, type EncodedBatch, sign } from './batch-encoder.ts';
import type { Cluster } from './cluster.ts';
import { brokerError, requireSuccess } from './failure.ts';
import type { Membership } from './group-messages.ts';
import { type PartitionOffset, type Producer, txnOffsetCommit } from './offset-messages.ts';
import { produce, type ProduceAnswer, type ProducedBatch } from './produce-message.ts';
import {
  addOffsetsToTxn,
  addPartitionsToTxn,
  endTxn,
  initProducerId,
} from './transaction-messages.ts';

/** Offsets that are to be committed with what is published, as a member of the group. */
export interface ConsumedOffsets {
  readonly membership: Membership;
  readonly offsets: readonly PartitionOffset[];
}

interface Part extends TopicPartition {
  readonly batches: readonly EncodedBatch[];
}

/** The next batch of a partition, with the number it keeps however often it is sent. */
interface Pending extends ProducedBatch {
  /** What the leader said of it; 0 if it has said nothing. */
  error: number;
}

const TRANSACTION_TIMEOUT_MS = 30_000;
const REQUEST_BYTES = 16 * 1024 * 1024;
const ABORT_PATIENCE_MS = 5_000;

/**
 * A transactional id in the hands of this process. One publish is one transaction; they follow one another
 * in the order in which they were asked for.
 *
 * ```
 * AddPartitionsToTxn, AddOffsetsToTxn ─▶ Produce per leader, TxnOffsetCommit ─▶ EndTxn
 * ```
 *
 * After a failure it is lost for good: what the cluster has of the transaction is not known, and to take
 * the id over again would fence whoever has it by now. Only who reads anew where to go on may do that.
 */
export class TransactionalProducer {
  readonly id: string;
  readonly #cluster: Cluster;
  readonly #sequences = new Map<string, number>();
  #producer: Producer | null = null;
  #lost: unknown = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor(cluster: Cluster, id: string) {
    this.#cluster = cluster;
    this.id = id;
  }

  get lost(): boolean {
    return this.#lost !== null;
  }

  /** Fences who had the id before, and undoes what was left open. Throws BROKER_UNREACHABLE, BROKER_DENIED. */
  takeOver(): Promise<void> {
    return this.#inTurn(() => this.#initialise());
  }

  /**
   * All or nothing. Throws BROKER_FENCED if another has taken the id or the group's partitions over;
   * BROKER_UNREACHABLE with a commit under way leaves open whether it was done.
   */
  async publish(outgoing: readonly Outgoing[], consumed: ConsumedOffsets | null): Promise<void> {
    const { compression = 'zstd' } = this.#cluster.options;
    const encoding = Promise.all(
      joined(outgoing).map(async ({ topic, partition, writers }): Promise<Part> => ({
        topic,
        partition,
        batches: (
          await Promise.all(writers.map((records) => encodeBatches(records, compression)))
        ).flat(),
      })),
    );
    // Whoever waits for the turn sees a failure of it; until then it must not count as unhandled.
    encoding.catch(() => undefined);
    return this.#inTurn(async () => this.#transaction(await encoding, consumed));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #initialise(): Promise<void> {
    const { transactionTimeoutMs = TRANSACTION_TIMEOUT_MS } = this.#cluster.options;
    const message = initProducerId(this.id, transactionTimeoutMs);
    this.#producer = await this.#cluster.toCoordinator('transaction', this.id, message);
    this.#sequences.clear();
    this.#lost = null;
  }

  async #transaction(parts: readonly Part[], consumed: ConsumedOffsets | null): Promise<void> {
    if (this.#lost !== null) {
      throw new MillraceError('BROKER_FENCED', 'An earlier publish has failed.', {
        place: this.id,
        cause: this.#lost,
      });
    }
    // Before anything is begun: a topic that does not exist is no reason to lose the id.
    await this.#cluster.attempt(() => Promise.all(parts.map((part) => this.#cluster.leader(part))));
    if (this.#producer === null) await this.#initialise();
    const producer = this.#producer as unknown as Producer;
    let ending = false;
    try {
      await this.#begin(producer, parts, consumed);
      await settled([this.#produce(producer, parts), this.#commitOffsets(producer, consumed)]);
      ending = true;
      await this.#cluster.toCoordinator('transaction', this.id, endTxn(producer, 'commit'));
    } catch (error) {
      this.#lost = error;
      // Whether a commit that fails was done is not known; to abort then could only be wrong.
      if (!ending) await this.#abort(producer);
      throw brokerError(error, this.id);
    }
  }

  async #begin(
    producer: Producer,
    parts: readonly Part[],
    consumed: ConsumedOffsets | null,
  ): Promise<void> {
    const { id } = this;
    const partitions = addPartitionsToTxn(producer, parts);
    await this.#cluster.toCoordinator('transaction', id, partitions);
    if (consumed === null) return;
    const offsets = addOffsetsToTxn(producer, consumed.membership.group);
    await this.#cluster.toCoordinator('transaction', id, offsets);
  }

  /** I5: the offsets are part of the transaction, on the condition that the partitions are still ours. */
  async #commitOffsets(producer: Producer, consumed: ConsumedOffsets | null): Promise<void> {
    if (consumed === null) return;
    const { membership, offsets } = consumed;
    const message = txnOffsetCommit(producer, membership, offsets);
    await this.#cluster.toCoordinator('group', membership.group, message);
  }

  /** A batch at a time of each partition, so that one that is sent again cannot be overtaken. */
  async #produce(producer: Producer, parts: readonly Part[]): Promise<void> {
    const rounds = Math.max(...parts.map(({ batches }) => batches.length));
    for (let round = 0; round < rounds; round++) {
      const pending = new Map<string, Pending>();
      for (const { topic, partition, batches } of parts) {
        const batch = batches[round];
        if (batch === undefined) continue;
        const key = `${topic}-${partition}`;
        const sequence = this.#sequences.get(key) ?? 0;
        this.#sequences.set(key, (sequence + batch.count) % 2 ** 31);
        sign(batch, producer, sequence);
        pending.set(key, { topic, partition, batch: batch.bytes, error: 0 });
      }
      await this.#cluster.attempt(() => this.#send(pending));
    }
  }

  /** Sends what is pending, and leaves in it what was not taken. */
  async #send(pending: Map<string, Pending>): Promise<void> {
    const all = [...pending.values()];
    const leaders = await Promise.all(all.map((one) => this.#cluster.leader(one)));
    const byLeader = Map.groupBy(all.keys(), (index) => leaders[index] as number);
    await settled(
      [...byLeader].map(async ([node, indices]) => {
        const connection = await this.#cluster.node(node);
        for (const batches of requests(indices.map((index) => all[index] as Pending))) {
          const answers = await connection.send(produce(this.id, batches));
          for (const answer of answers) taken(answer, pending);
        }
      }),
    );
    const [left] = pending.values();
    if (left !== undefined) requireSuccess(left.error, `${left.topic}-${left.partition}`);
  }

  async #abort(producer: Producer): Promise<void> {
    const message = endTxn(producer, 'abort');
    try {
      await this.#cluster.attempt(
        async () => (await this.#cluster.coordinator('transaction', this.id)).send(message),
        { patienceMs: ABORT_PATIENCE_MS },
      );
    } catch {
      // The cluster undoes it by itself when the transaction's time is up.
    }
  }
}

const DUPLICATE_SEQUENCE_NUMBER = 46;

function taken({ topic, partition, error }: ProduceAnswer, pending: Map<string, Pending>): void {
  const key = `${topic}-${partition}`;
  // It had arrived, and the answer had not.
  if (error === 0 || error === DUPLICATE_SEQUENCE_NUMBER) pending.delete(key);
  else (pending.get(key) as Pending).error = error;
}

/** Resolves or rejects when all have ended: nothing is under way that a repetition could meet. */
async function settled(work: readonly Promise<unknown>[]): Promise<void> {
  const outcomes = await Promise.allSettled(work);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

/** The writers of each partition together, in order; empty ones are left out. */
function joined(
  outgoing: readonly Outgoing[],
): (TopicPartition & { readonly writers: RecordWriter[] })[] {
  const found = new Map<string, TopicPartition & { readonly writers: RecordWriter[] }>();
  for (const { topic, partition, records } of outgoing) {
    if (records.count === 0) continue;
    const key = `${topic}-${partition}`;
    const known = found.get(key);
    if (known === undefined) found.set(key, { topic, partition, writers: [records] });
    else known.writers.push(records);
  }
  return [...found.values()];
}

/** Cuts what goes to a node into requests that it takes. */
function requests(pending: readonly Pending[]): Pending[][] {
  const found: Pending[][] = [];
  let room = 0;
  for (const one of pending) {
    if (one.batch.length > room) {
      found.push([]);
      room = REQUEST_BYTES;
    }
    found.at(-1)?.push(one);
    room -= one.batch.length;
  }
  return found;
}
