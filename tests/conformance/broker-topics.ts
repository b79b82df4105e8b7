import type { Broker, TopicName } from '../../broker/broker.ts';
import { freshTopic, record, settings, to } from './broker-under-test.ts';

export const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `${from + index}`);

/** A topic with the records 0, 1, 2 … in its one partition. */
export async function numbered(broker: Broker, count: number): Promise<TopicName> {
  const topic = freshTopic();
  await broker.createTopics([settings(topic)]);
  if (count > 0) {
    await broker.publish([
      to(
        topic,
        0,
        numbers(0, count).map((text) => record('k', text)),
      ),
    ]);
  }
  return topic;
}

export async function spread(broker: Broker, partitions: number): Promise<TopicName> {
  const topic = freshTopic();
  await broker.createTopics([settings(topic, { partitions })]);
  return topic;
}

export async function publishToAll(
  broker: Broker,
  topic: TopicName,
  partitions: number,
  text: string,
) {
  await broker.publish(
    Array.from({ length: partitions }, (_, partition) =>
      to(topic, partition, [record('k', `${text}${partition}`)]),
    ),
  );
}
