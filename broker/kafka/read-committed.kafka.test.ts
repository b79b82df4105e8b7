import { createRequire } from 'node:module';
import type * as KafkaJs from 'kafkajs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { silent } from '../../log.ts';
import {
  freshTopic,
  member,
  readAll,
  record,
  seenOf,
  settings,
  to,
  values,
} from '../../tests/conformance/broker-under-test.ts';
import { describeWhere } from '../../tests/support/describe-where.ts';
import { whyNoKafka } from '../../tests/support/kafka-distribution.ts';
import { OpenTransaction } from '../../tests/support/kafka-transaction.ts';
import { startKafka, type TestKafka } from '../../tests/support/kafka.ts';
import type { Broker, TopicName } from '../broker.ts';
import { Cluster } from './cluster.ts';
import { openKafka } from './kafka.ts';

const reason = whyNoKafka();

describeWhere(reason, 'what was undone (on a real cluster)', () => {
  let kafka: TestKafka;
  let cluster: Cluster;
  let broker: Broker;
  beforeAll(async () => {
    kafka = await startKafka();
    cluster = new Cluster({ brokers: kafka.brokers });
    broker = await openKafka({ brokers: kafka.brokers }, silent);
  });
  afterAll(async () => {
    await broker[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
    await kafka[Symbol.asyncDispose]();
  });

  /** Everything undone is called so; what is left must be read in order. */
  async function undoneAmongCommitted(): Promise<TopicName> {
    const topic = freshTopic();
    await broker.createTopics([settings(topic)]);
    const at = { topic, partition: 0 };
    const first = await OpenTransaction.begin(cluster, `${topic}-1`);
    const second = await OpenTransaction.begin(cluster, `${topic}-2`);
    const third = await OpenTransaction.begin(cluster, `${topic}-3`);
    await broker.publish([to(topic, 0, [record('k', '1')])]);
    // The first to begin is the last to be undone, and its records stand before and after the other's.
    await first.send(at, [record('k', 'undone'), record('k', 'undone')]);
    await second.send(at, [record('k', 'undone')]);
    await broker.publish([to(topic, 0, [record('k', '2')])]);
    await first.send(at, [record('k', 'undone')]);
    await second.end('abort');
    // A key that looks like the mark which ends a transaction.
    const mark = { key: Buffer.from([0, 0, 0, 0]), value: Buffer.from('undone'), timestamp: 1 };
    await third.send(at, [mark, record('k', 'undone'), record('k', 'undone')]);
    await first.send(at, [record('k', 'undone')]);
    await first.end('abort');
    await third.end('abort');
    await broker.publish([to(topic, 0, [record('k', '3'), record('k', '4')])]);
    return topic;
  }

  test('is never read, whatever the order in which transactions ended', async () => {
    const topic = await undoneAmongCommitted();
    const expected = ['1', '2', '3', '4'];
    expect(values(await readAll(broker, topic))).toEqual(expected);
    const reader = member(broker, { group: `${topic}-g`, topics: [topic] });
    expect(values(seenOf(await reader.take(4)))).toEqual(expected);
  });

  test('is delivered as if it were committed by kafkajs as it is shipped', async () => {
    const topic = await undoneAmongCommitted();
    const seen = await readWithKafkaJs(kafka.brokers, topic, '4');
    expect(seen.filter((value) => value !== 'undone')).toEqual(['1', '2', '3', '4']);
    // The reason for reading by ourselves; if this fails, kafkajs can do it by now.
    expect(seen).toContain('undone');
  });

  test('is passed over from any offset within it', async () => {
    const topic = await undoneAmongCommitted();
    const all = await readAll(broker, topic);
    const last = all.at(-1)?.offset ?? 0;
    for (let next = 0; next <= last; next++) {
      const left = all.filter(({ offset }) => offset >= next);
      expect(await readAll(broker, topic, { next })).toEqual(left);
    }
  });

  test('a reader to the present end waits for what is open, and no longer', async () => {
    const topic = freshTopic();
    await broker.createTopics([settings(topic)]);
    const at = { topic, partition: 0 };
    const open = await OpenTransaction.begin(cluster, `${topic}-1`);
    await open.send(at, [record('k', 'in time')]);
    const reading = readAll(broker, topic);
    const early = await Promise.race([reading, untilPolled()]);
    expect(early).toBe('still reading');
    await open.end('commit');
    expect(values(await reading)).toEqual(['in time']);
  });
});

/** Long enough for a node to have been asked several times. */
const untilPolled = (): Promise<string> =>
  new Promise((resolve) => setTimeout(resolve, 500, 'still reading'));

/** The values of a partition up to a last one, as a consumer of kafkajs reads them. */
async function readWithKafkaJs(
  brokers: readonly string[],
  topic: string,
  last: string,
): Promise<string[]> {
  const { Kafka, logLevel } = createRequire(import.meta.url)('kafkajs') as typeof KafkaJs;
  const client = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING });
  const consumer = client.consumer({ groupId: `${topic}-kafkajs`, readUncommitted: false });
  const seen: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ message }) => {
      seen.push(message.value?.toString() ?? '');
      if (seen.at(-1) === last) resolve();
    },
  });
  await promise;
  await consumer.disconnect();
  return seen;
}
