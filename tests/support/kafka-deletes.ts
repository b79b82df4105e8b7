import type { TopicPartition } from '../../broker/broker.ts';
import { requireSuccess } from '../../broker/kafka/failure.ts';
import type { Message } from '../../broker/kafka/message.ts';

/** Forgets the records of a partition before an offset at once, as retention does: `DeleteRecordsRequest.json`. */
export const deleteRecords = (
  { topic, partition }: TopicPartition,
  before: number,
): Message<void> => ({
  api: 21,
  name: 'DeleteRecords',
  version: 1,
  write: (out) => out.int32(1).string(topic).int32(1).int32(partition).int64(before).int32(10_000),
  read(answer) {
    answer.int32();
    answer.array(() => {
      answer.string();
      answer.array(() => {
        answer.int32();
        answer.int64();
        requireSuccess(answer.int16(), `${topic}-${partition}`);
      });
    });
  },
});

export const deleteTopic = (topic: string): Message<void> => ({
  api: 20,
  name: 'DeleteTopics',
  version: 1,
  write: (out) => out.int32(1).string(topic).int32(10_000),
  read(answer) {
    answer.int32();
    answer.array(() => {
      const name = answer.string() ?? topic;
      requireSuccess(answer.int16(), name);
    });
  },
});
