import type { TopicPartition } from '../broker.ts';
import type { Message } from './message.ts';
import { byTopic } from './offset-messages.ts';

/** One record batch for a partition: the protocol takes one at a time. */
export interface ProducedBatch extends TopicPartition {
  readonly batch: Buffer;
}

export interface ProduceAnswer extends TopicPartition {
  readonly error: number;
}

const TIMEOUT_MS = 30_000;
const ALL_REPLICAS = -1;

export const produce = (
  transactionalId: string,
  batches: readonly ProducedBatch[],
): Message<ProduceAnswer[]> => ({
  api: 0,
  name: 'Produce',
  version: 7,
  timeoutMs: TIMEOUT_MS + 10_000,
  bytesExpected: batches.reduce(
    (sum, { batch, topic }) => sum + batch.length + topic.length + 32,
    256,
  ),
  write(out) {
    out.string(transactionalId).int16(ALL_REPLICAS).int32(TIMEOUT_MS);
    out.array(byTopic(batches), ([topic, partitions]) => {
      out.string(topic).array(partitions, ({ partition, batch }) => {
        out.int32(partition).bytes(batch);
      });
    });
  },
  read(answer) {
    const found: ProduceAnswer[] = [];
    answer.array(() => {
      const topic = answer.string() as TopicPartition['topic'];
      answer.array(() => {
        const [partition, error] = [answer.int32(), answer.int16()];
        for (let field = 0; field < 3; field++) answer.int64();
        found.push({ topic, partition, error });
      });
    });
    answer.int32();
    return found;
  },
});
