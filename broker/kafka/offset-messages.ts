import type { TopicPartition } from '../broker.ts';
import { requireSuccess } from './failure.ts';
import type { Membership } from './group-messages.ts';
import type { Message } from './message.ts';
import type { WireWriter } from './wire.ts';

export interface PartitionOffset extends TopicPartition {
  readonly next: number;
}

/** The partitions of each topic, as most messages list them. */
export function byTopic<P extends { readonly topic: string }>(
  partitions: readonly P[],
): [string, P[]][] {
  return [...Map.groupBy(partitions, ({ topic }) => topic)];
}

/** Of nobody in particular: accepted while a group has no members. */
export const outsider = (group: string): Membership => ({ group, generation: -1, member: '' });

export const offsetCommit = (
  { group, generation, member }: Membership,
  offsets: readonly PartitionOffset[],
): Message<void> => ({
  api: 8,
  name: 'OffsetCommit',
  version: 6,
  write(out) {
    out.string(group).int32(generation).string(member);
    out.array(byTopic(offsets), ([topic, partitions]) => {
      out.string(topic).array(partitions, ({ partition, next }) => {
        out.int32(partition).int64(next).int32(-1).string('');
      });
    });
  },
  read(answer) {
    answer.int32();
    answer.array(() => {
      const topic = answer.string();
      answer.array(() => {
        const partition = answer.int32();
        requireSuccess(answer.int16(), `group ${group}, ${topic}-${partition}`);
      });
    });
  },
});

/**
 * Offsets that a group has committed; null for all partitions. Those under a transaction that is not
 * ended yet are `UNSTABLE_OFFSET_COMMIT` (KIP-447).
 */
export const offsetFetch = (
  group: string,
  wanted: readonly TopicPartition[] | null,
): Message<PartitionOffset[]> => ({
  api: 9,
  name: 'OffsetFetch',
  version: 7,
  flexible: true,
  write(out) {
    out.compactString(group);
    if (wanted === null) out.unsigned(0);
    else {
      out.compactArray(byTopic(wanted), ([topic, partitions]) => {
        out.compactString(topic);
        out.compactArray(partitions, ({ partition }) => out.int32(partition)).noTags();
      });
    }
    out.boolean(wanted !== null).noTags();
  },
  read(answer) {
    answer.int32();
    const found: PartitionOffset[] = [];
    answer.compactArray(() => {
      const topic = answer.compactString() as TopicPartition['topic'];
      answer.compactArray(() => {
        const [partition, next] = [answer.int32(), answer.long()];
        answer.int32();
        answer.compactString();
        const error = answer.int16();
        answer.skipTags();
        requireSuccess(error, `group ${group}, ${topic}-${partition}`);
        if (next >= 0) found.push({ topic, partition, next });
      });
      answer.skipTags();
    });
    requireSuccess(answer.int16(), `group ${group}`);
    answer.skipTags();
    return found;
  },
});

export const EARLIEST = -2;
export const LATEST = -1;

/** The first offset whose record is not older than a time (ms), {@link EARLIEST} or {@link LATEST}; -1 if none. */
export const listOffsets = (
  partitions: readonly TopicPartition[],
  timestamp: number,
): Message<PartitionOffset[]> => ({
  api: 2,
  name: 'ListOffsets',
  version: 2,
  write(out) {
    // Whatever is still in a transaction counts: that is where the partition ends.
    out.int32(-1).int8(0);
    out.array(byTopic(partitions), ([topic, partitions]) => {
      out.string(topic).array(partitions, ({ partition }) => {
        out.int32(partition).int64(timestamp);
      });
    });
  },
  read(answer) {
    answer.int32();
    const found: PartitionOffset[] = [];
    answer.array(() => {
      const topic = answer.string() as TopicPartition['topic'];
      answer.array(() => {
        const [partition, error] = [answer.int32(), answer.int16()];
        answer.int64();
        const next = answer.long();
        requireSuccess(error, `${topic}-${partition}`);
        found.push({ topic, partition, next });
      });
    });
    return found;
  },
});

/** A transactional id in use: what it was given when it was initialised. */
export interface Producer {
  readonly id: string;
  readonly producerId: bigint;
  readonly epoch: number;
}

/** Offsets as part of a transaction, on the condition that the member is still of that generation (KIP-447). */
export const txnOffsetCommit = (
  { id, producerId, epoch }: Producer,
  { group, generation, member }: Membership,
  offsets: readonly PartitionOffset[],
): Message<void> => ({
  api: 28,
  name: 'TxnOffsetCommit',
  version: 3,
  flexible: true,
  write(out: WireWriter) {
    out.compactString(id).compactString(group).int64(producerId).int16(epoch);
    out.int32(generation).compactString(member).compactString(null);
    out.compactArray(byTopic(offsets), ([topic, partitions]) => {
      out.compactString(topic).compactArray(partitions, ({ partition, next }) => {
        out.int32(partition).int64(next).int32(-1).compactString('').noTags();
      });
      out.noTags();
    });
    out.noTags();
  },
  read(answer) {
    answer.int32();
    answer.compactArray(() => {
      const topic = answer.compactString();
      answer.compactArray(() => {
        const partition = answer.int32();
        requireSuccess(answer.int16(), `group ${group}, ${topic}-${partition}`);
        answer.skipTags();
      });
      answer.skipTags();
    });
  },
});
