import type { TopicPartition } from '../broker.ts';
import type { Message } from './message.ts';
import { byTopic } from './offset-messages.ts';

export interface FetchOptions {
  readonly waitMs: number;
  readonly bytesMax: number;
  readonly partitionBytesMax: number;
  /** Where this process is, so that a replica nearby may answer (KIP-392). */
  readonly rack: string;
}

/** A transaction that was undone: its records begin at `first`. */
export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly first: number;
}

export interface FetchedPartition extends TopicPartition {
  readonly error: number;
  readonly aborted: readonly AbortedTransaction[];
  /** Node to ask instead, -1 if none. */
  readonly preferredReplica: number;
  /** Record batches one after another; the last may be cut. */
  readonly batches: Buffer;
}

/** Up to the last stable offset: records of open transactions are not sent, those of undone ones are. */
export const fetch = (
  partitions: readonly (TopicPartition & { readonly next: number })[],
  { waitMs, bytesMax, partitionBytesMax, rack }: FetchOptions,
): Message<FetchedPartition[]> => ({
  api: 1,
  name: 'Fetch',
  version: 11,
  timeoutMs: waitMs + 30_000,
  write(out) {
    const readCommitted = 1;
    out.int32(-1).int32(waitMs).int32(1).int32(bytesMax).int8(readCommitted);
    // No session (KIP-227): every request names all it wants.
    out.int32(0).int32(-1);
    out.array(byTopic(partitions), ([topic, partitions]) => {
      out.string(topic).array(partitions, ({ partition, next }) => {
        out.int32(partition).int32(-1).int64(next).int64(-1).int32(partitionBytesMax);
      });
    });
    out.int32(0).string(rack);
  },
  read(answer) {
    answer.int32();
    answer.int16();
    answer.int32();
    const found: FetchedPartition[] = [];
    answer.array(() => {
      const topic = answer.string() as TopicPartition['topic'];
      answer.array(() => {
        const [partition, error] = [answer.int32(), answer.int16()];
        for (let field = 0; field < 3; field++) answer.int64();
        const aborted = answer.array(() => ({ producerId: answer.int64(), first: answer.long() }));
        const preferredReplica = answer.int32();
        const batches = answer.bytesOf();
        found.push({ topic, partition, error, aborted, preferredReplica, batches });
      });
    });
    return found;
  },
});
