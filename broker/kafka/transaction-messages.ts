import type { TopicPartition } from '../broker.ts';
import { requireSuccess } from './failure.ts';
import type { Message } from './message.ts';
import { byTopic, type Producer } from './offset-messages.ts';

/** Takes a transactional id over: ends what its last user left open, and fences that user. */
export const initProducerId = (id: string, timeoutMs: number): Message<Producer> => ({
  api: 22,
  name: 'InitProducerId',
  version: 1,
  write: (out) => out.string(id).int32(timeoutMs),
  read(answer) {
    answer.int32();
    requireSuccess(answer.int16(), `transactional id ${id}`);
    return { id, producerId: answer.int64(), epoch: answer.int16() };
  },
});

export const addPartitionsToTxn = (
  { id, producerId, epoch }: Producer,
  partitions: readonly TopicPartition[],
): Message<void> => ({
  api: 24,
  name: 'AddPartitionsToTxn',
  version: 1,
  write(out) {
    out.string(id).int64(producerId).int16(epoch);
    out.array(byTopic(partitions), ([topic, partitions]) => {
      out.string(topic).array(partitions, ({ partition }) => out.int32(partition));
    });
  },
  read(answer) {
    answer.int32();
    const errors = answer
      .array(() => {
        const topic = answer.string();
        return answer.array(() => ({
          place: `${topic}-${answer.int32()}`,
          error: answer.int16(),
        }));
      })
      .flat();
    // Where one partition is refused the others are "not attempted", which says nothing.
    const NOT_ATTEMPTED = 55;
    const said = errors.find(({ error }) => error !== 0 && error !== NOT_ATTEMPTED) ?? errors[0];
    if (said !== undefined) requireSuccess(said.error, `${id}, ${said.place}`);
  },
});

export const addOffsetsToTxn = (
  { id, producerId, epoch }: Producer,
  group: string,
): Message<void> => ({
  api: 25,
  name: 'AddOffsetsToTxn',
  version: 1,
  write: (out) => out.string(id).int64(producerId).int16(epoch).string(group),
  read(answer) {
    answer.int32();
    requireSuccess(answer.int16(), `${id}, group ${group}`);
  },
});

export const endTxn = (
  { id, producerId, epoch }: Producer,
  outcome: 'commit' | 'abort',
): Message<void> => ({
  api: 26,
  name: 'EndTxn',
  version: 1,
  write: (out) =>
    out
      .string(id)
      .int64(producerId)
      .int16(epoch)
      .boolean(outcome === 'commit'),
  read(answer) {
    answer.int32();
    requireSuccess(answer.int16(), `${outcome} of ${id}`);
  },
});
