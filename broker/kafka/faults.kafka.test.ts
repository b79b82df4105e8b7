import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { silent } from '../../log.ts';
import {
  consumedOf,
  freshTopic,
  member,
  readAll,
  record,
  seenOf,
  settings,
  to,
  values,
} from '../../tests/conformance/broker-under-test.ts';
import { numbered, numbers } from '../../tests/conformance/broker-topics.ts';
import { deleteTopic } from '../../tests/support/kafka-deletes.ts';
import { describeWhere } from '../../tests/support/describe-where.ts';
import { whyNoKafka } from '../../tests/support/kafka-distribution.ts';
import { startKafka, type TestKafka } from '../../tests/support/kafka.ts';
import { freePorts } from '../../tests/support/supervised.ts';
import type { Broker } from '../broker.ts';
import { Cluster } from './cluster.ts';
import { createTopics } from './cluster-messages.ts';
import { openKafka } from './kafka.ts';
import type { KafkaOptions } from './options.ts';

const reason = whyNoKafka();

describeWhere(reason, 'troubles (of a real cluster)', () => {
  let kafka: TestKafka;
  beforeAll(async () => {
    kafka = await startKafka();
  });
  afterAll(() => kafka[Symbol.asyncDispose]());

  async function open(rest: Partial<KafkaOptions> = {}): Promise<Broker> {
    const broker = await openKafka({ brokers: kafka.brokers, ...rest }, silent);
    onTestFinished(() => broker[Symbol.asyncDispose]());
    return broker;
  }

  test('a cluster that is away for a while delays what is under way, and nothing is lost or doubled', async () => {
    const broker = await open();
    const [topic, output] = [await numbered(broker, 10), freshTopic('out')];
    await broker.createTopics([settings(output)]);
    const worker = member(broker, { group: `${topic}-g`, topics: [topic], publishes: true });
    const consumed = consumedOf(await worker.take(10));
    await kafka.nodes[0]?.kill();
    const publishes = [
      broker.publish([to(output, 0, [record('k', 'copied')])], { consumed }),
      broker.publish([to(topic, 0, [record('k', '10')])]),
    ];
    await delay(5000);
    await kafka.nodes[0]?.start();
    await Promise.all(publishes);
    expect(values(seenOf(await worker.take(1)))).toEqual(['10']);
    expect(values(await readAll(broker, output))).toEqual(['copied']);
    expect(values(await readAll(broker, topic))).toEqual(numbers(0, 11));
  });

  test('an address where nobody answers is said with a code', async () => {
    const [port] = await freePorts(1);
    const nobody = openKafka({ brokers: [`127.0.0.1:${port}`] }, silent);
    await expect(nobody).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' });
  });

  test('of several addresses one that answers is enough', async () => {
    const [port] = await freePorts(1);
    const broker = await open({ brokers: [`127.0.0.1:${port}`, ...kafka.brokers] });
    expect((await broker.describe()).topics).toBeDefined();
  });

  test('a record that the topic does not take is refused with a code, and nothing of its publish is kept', async () => {
    const broker = await open({ recordBytesMax: 100_000, compression: 'none' });
    const topic = freshTopic();
    await broker.createTopics([settings(topic)]);
    const large = [record('k', 'before'), record('k', 'x'.repeat(2_000_000))];
    const publish = broker.publish([to(topic, 0, large)]);
    await expect(publish).rejects.toMatchObject({ code: 'RECORD_TOO_LARGE' });
    await broker.publish([to(topic, 0, [record('k', 'after')])]);
    expect(values(await readAll(broker, topic))).toEqual(['after']);
  });

  test('a topic that is deleted under its reader is said with a code', async () => {
    const broker = await open();
    const topic = await numbered(broker, 3);
    const worker = member(broker, { group: `${topic}-g`, topics: [topic] });
    await worker.take(3);
    await using cluster = new Cluster({ brokers: kafka.brokers });
    await cluster.attempt(async () => (await cluster.controller()).send(deleteTopic(topic)));
    await expect(worker.next()).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' });
  });

  test('a producer that has failed stays so until it is taken over anew', async () => {
    const broker = await open({ recordBytesMax: 100_000, compression: 'none' });
    const topic = freshTopic();
    await broker.createTopics([settings(topic)]);
    const producer = `${topic}-producer`;
    const publish = (text: string) =>
      broker.publish([to(topic, 0, [record('k', text)])], { producer });
    await publish('1');
    await expect(publish('x'.repeat(2_000_000))).rejects.toMatchObject({
      code: 'RECORD_TOO_LARGE',
    });
    await expect(publish('2')).rejects.toMatchObject({ code: 'BROKER_FENCED' });
    await broker.fence(producer);
    await publish('3');
    expect(values(await readAll(broker, topic))).toEqual(['1', '3']);
  });

  test('how long a topic keeps is changed to what is wanted; how it forgets must fit', async () => {
    const broker = await open();
    const topic = freshTopic();
    await broker.createTopics([settings(topic, { retentionMs: 3_600_000 })]);
    await broker.createTopics([settings(topic, { retentionMs: 7_200_000 })]);
    const found = (await broker.describe()).topics.find((one) => one.topic === topic);
    expect(found).toMatchObject({ retentionMs: 7_200_000, retentionBytes: null });
    const compacted = broker.createTopics([settings(topic, { cleanup: 'compact' })]);
    await expect(compacted).rejects.toMatchObject({ code: 'TOPIC_MISMATCH', place: topic });
  });

  test('topics and groups of others are not told of', async () => {
    const broker = await open();
    const [ours, others] = [freshTopic('ours'), freshTopic('others')];
    await using cluster = new Cluster({ brokers: kafka.brokers });
    const topics = [ours, others].map((topic) => ({
      topic,
      partitions: 1,
      replication: -1,
      settings: {},
    }));
    await cluster.attempt(async () => (await cluster.controller()).send(createTopics(topics)));
    await broker.createTopics([settings(ours), settings(others)]);
    const limited = await open({ prefix: ours.slice(0, -2) });
    const names = (await limited.describe()).topics.map(({ topic }) => topic);
    expect(names).toContain(ours);
    expect(names).not.toContain(others);
  });
});
