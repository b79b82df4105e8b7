import { topicName, type TopicPartition } from '../broker.ts';
import { byTopic } from './offset-messages.ts';
import { WireReader, WireWriter } from './wire.ts';

/** What a member tells the leader of its group: what it reads, and what it holds since when. */
export interface Subscribed {
  readonly topics: ReadonlySet<string>;
  readonly generation: number;
  readonly owned: readonly TopicPartition[];
}

/*
 * The outer form is that of the "consumer" protocol, version 0, so that Kafka's tools can show it:
 * `ConsumerProtocolSubscription.json`, `ConsumerProtocolAssignment.json`. What a member holds is in its
 * user data, as every version of the protocol passes that on.
 */
const VERSION = 0;

export function writeSubscription({
  topics,
  generation,
  owned,
}: Omit<Subscribed, 'topics'> & { readonly topics: readonly string[] }): Buffer {
  const own = new WireWriter(256).int32(generation);
  writePartitions(own, byTopic(owned));
  const out = new WireWriter(512).int16(VERSION);
  out.array(topics, (topic) => out.string(topic));
  return out.bytes(own.out.written()).out.written();
}

export function readSubscription(bytes: Buffer): Subscribed {
  const answer = new WireReader(bytes);
  answer.int16();
  const topics = new Set(answer.array(() => answer.string() ?? ''));
  const own = new WireReader(answer.bytesOf());
  return { topics, generation: own.int32(), owned: readPartitions(own) };
}

export function writeShare(partitions: readonly [string, readonly TopicPartition[]][]): Buffer {
  const out = new WireWriter(512).int16(VERSION);
  writePartitions(out, partitions);
  return out.bytes(Buffer.alloc(0)).out.written();
}

/** Nothing at all is what a member gets that came too late to be counted. */
export function readShare(bytes: Buffer): TopicPartition[] {
  if (bytes.length === 0) return [];
  const answer = new WireReader(bytes);
  answer.int16();
  return readPartitions(answer);
}

function writePartitions(
  out: WireWriter,
  partitions: readonly [string, readonly TopicPartition[]][],
): void {
  out.array(partitions, ([topic, ofTopic]) => {
    out.string(topic).array(ofTopic, ({ partition }) => out.int32(partition));
  });
}

function readPartitions(answer: WireReader): TopicPartition[] {
  return answer
    .array(() => {
      const topic = topicName(answer.string() ?? '');
      return answer.array(() => ({ topic, partition: answer.int32() }));
    })
    .flat();
}
