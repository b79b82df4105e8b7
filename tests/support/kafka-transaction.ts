import { encodeBatches, sign } from '../../broker/kafka/batch-encoder.ts';
import type { Cluster } from '../../broker/kafka/cluster.ts';
import { requireSuccess } from '../../broker/kafka/failure.ts';
import type { Membership } from '../../broker/kafka/group-messages.ts';
import {
  type PartitionOffset,
  type Producer,
  txnOffsetCommit,
} from '../../broker/kafka/offset-messages.ts';
import { produce } from '../../broker/kafka/produce-message.ts';
import {
  addOffsetsToTxn,
  addPartitionsToTxn,
  endTxn,
  initProducerId,
} from '../../broker/kafka/transaction-messages.ts';
import type { TopicPartition } from '../../broker/broker.ts';
import { pack, type PlainRecord } from '../../broker/records.ts';

/** A transaction that a test takes step by step, and may leave open. */
export class OpenTransaction {
  readonly #cluster: Cluster;
  readonly #producer: Producer;
  #sequence = 0;

  private constructor(cluster: Cluster, producer: Producer) {
    this.#cluster = cluster;
    this.#producer = producer;
  }

  static async begin(cluster: Cluster, id: string, timeoutMs = 60_000): Promise<OpenTransaction> {
    const message = initProducerId(id, timeoutMs);
    return new OpenTransaction(cluster, await cluster.toCoordinator('transaction', id, message));
  }

  async send(to: TopicPartition, records: readonly PlainRecord[]): Promise<void> {
    const producer = this.#producer;
    await this.#coordinated(addPartitionsToTxn(producer, [to]));
    for (const batch of await encodeBatches(pack(records), 'zstd')) {
      sign(batch, producer, this.#sequence);
      this.#sequence += batch.count;
      const message = produce(producer.id, [{ ...to, batch: batch.bytes }]);
      const node = await this.#cluster.node(await this.#cluster.leader(to));
      for (const { error } of await node.send(message)) requireSuccess(error, 'produce');
    }
  }

  async commitOffsets(membership: Membership, offsets: readonly PartitionOffset[]): Promise<void> {
    await this.#coordinated(addOffsetsToTxn(this.#producer, membership.group));
    const message = txnOffsetCommit(this.#producer, membership, offsets);
    await this.#cluster.toCoordinator('group', membership.group, message);
  }

  end(outcome: 'commit' | 'abort'): Promise<void> {
    return this.#coordinated(endTxn(this.#producer, outcome));
  }

  #coordinated(message: ReturnType<typeof endTxn>): Promise<void> {
    return this.#cluster.toCoordinator('transaction', this.#producer.id, message);
  }
}
