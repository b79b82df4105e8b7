import { offset, topicName, type Broker, type TopicName } from '../../broker/broker.ts';
import { RecordCursor, RecordWriter } from '../../broker/records.ts';

/** The topics of the crash test: what comes in is copied to both outputs, with its offsets. */
export interface CrashTopics {
  readonly input: TopicName;
  readonly first: TopicName;
  readonly second: TopicName;
}

export const crashTopics = (name: string): CrashTopics => ({
  input: topicName(name, 'input'),
  first: topicName(name, 'first'),
  second: topicName(name, 'second'),
});

/** Records in the publish of that number: mostly few, sometimes more than fit into one row. */
export const sizeOf = (publish: number): number => (publish % 10 === 3 ? 9000 : 1 + (publish % 17));

/**
 * Publishes numbered batches, consumes them again and copies them to two topics with the consumed
 * offsets; prints `acked <number>` when a copy is durable. It goes on until the process is killed.
 */
export async function writeForever(broker: Broker, name: string): Promise<never> {
  const { input, first, second } = crashTopics(name);
  const signal = new AbortController().signal;
  const subscribed = broker.subscribe({ group: name, topics: [input] }, signal);
  const deliveries = subscribed[Symbol.asyncIterator]();
  // What a predecessor published and did not copy comes first.
  let published = await lastNumber(broker, input);
  let copied = await lastNumber(broker, first);
  for (;;) {
    if (copied === published) {
      published++;
      await broker.publish([{ topic: input, partition: 0, records: batchOf(published) }]);
    }
    const delivered = await deliveries.next();
    if (delivered.done === true) throw new Error('the subscription has ended');
    for (const batch of delivered.value) {
      const records = new RecordWriter();
      for (const { bytes } of batch.segments) {
        const cursor = new RecordCursor(bytes);
        while (cursor.next()) {
          records.copy(cursor);
          copied = numberIn(cursor);
        }
      }
      const outgoing = [first, second].map((topic) => ({ topic, partition: 0, records }));
      await broker.publish(outgoing, { consumed: [batch.consumed] });
      process.stdout.write(`acked ${copied}\n`);
    }
  }
}

function batchOf(publish: number): RecordWriter {
  const writer = new RecordWriter();
  const size = sizeOf(publish);
  for (let index = 0; index < size; index++) {
    const noise = Buffer.alloc(120, `${publish * index}`).toString('latin1');
    writer.add({
      key: Buffer.from(`k${index % 100}`),
      value: Buffer.from(`${publish}:${index}:${noise}`),
      timestamp: publish,
    });
  }
  return writer;
}

/** The number of the publish that a record belongs to. */
const numberIn = (cursor: RecordCursor): number =>
  Number.parseInt(cursor.value()?.toString('latin1') ?? '', 10);

async function lastNumber(broker: Broker, topic: TopicName): Promise<number> {
  const { topics } = await broker.describe();
  const end = topics.find((one) => one.topic === topic)?.offsets[0]?.end ?? 0;
  let last = -1;
  const next = offset(Math.max(0, end - 10));
  for await (const { segments } of broker.read(
    { topic, partition: 0, next },
    new AbortController().signal,
  )) {
    for (const { bytes } of segments) {
      const cursor = new RecordCursor(bytes);
      while (cursor.next()) last = numberIn(cursor);
    }
  }
  return last;
}
