import { afterAll, beforeAll, expect, test } from 'vitest';
import { silent } from '../../log.ts';
import {
  freshTopic,
  readAll,
  record,
  to,
  values,
} from '../../tests/conformance/broker-under-test.ts';
import { noise } from '../../tests/noise.ts';
import { describeWhere } from '../../tests/support/describe-where.ts';
import { whyNoKafka } from '../../tests/support/kafka-distribution.ts';
import { startKafka, type TestKafka } from '../../tests/support/kafka.ts';
import { offset } from '../broker.ts';
import { RecordCursor } from '../records.ts';
import { createTopics } from './cluster-messages.ts';
import { Cluster } from './cluster.ts';
import { openKafka } from './kafka.ts';

const reason = whyNoKafka();
const codecs = ['uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'];

describeWhere(reason, 'what others decide: compression, time (on a real cluster)', () => {
  let kafka: TestKafka;
  beforeAll(async () => {
    kafka = await startKafka();
  });
  afterAll(() => kafka[Symbol.asyncDispose]());

  // The cluster compresses such a topic again by its own libraries, whatever it is sent.
  test.each(codecs)('what was stored as %s is read', async (codec) => {
    const { brokers } = kafka;
    const topic = freshTopic(codec);
    await using cluster = new Cluster({ brokers });
    const settings = { 'compression.type': codec };
    await (
      await cluster.controller()
    ).send(createTopics([{ topic, partitions: 1, replication: -1, settings }]));
    const random = noise(400_000).toString('latin1');
    const texts = [
      ...Array.from(
        { length: 3000 },
        (_, index) => `record ${index % 7} ${'ab'.repeat(index % 90)}`,
      ),
      'x'.repeat(500_000),
      ...Array.from({ length: 50 }, (_, index) => random.slice(index, index * 150)),
    ];
    for (const compression of ['none', 'gzip', 'zstd'] as const) {
      await using broker = await openKafka({ brokers, compression }, silent);
      const records = texts.map((text) => record('k', text));
      await broker.publish([to(topic, 0, records)]);
    }
    await using broker = await openKafka({ brokers }, silent);
    const seen = values(await readAll(broker, topic));
    expect(seen.length).toBe(3 * texts.length);
    expect(seen.every((text, index) => text === texts[index % texts.length])).toBe(true);
  });

  test('where the cluster sets the time of records, it is that which is read', async () => {
    const { brokers } = kafka;
    const topic = freshTopic();
    await using cluster = new Cluster({ brokers });
    const settings = { 'message.timestamp.type': 'LogAppendTime' };
    await (
      await cluster.controller()
    ).send(createTopics([{ topic, partitions: 1, replication: -1, settings }]));
    const before = Date.now();
    await using broker = await openKafka({ brokers }, silent);
    await broker.publish([to(topic, 0, [record('k', '1', 1000), record('k', '2', 2000)])]);
    const times: number[] = [];
    const from = { topic, partition: 0, next: offset(0) };
    for await (const { segments } of broker.read(from, new AbortController().signal)) {
      for (const { bytes } of segments) {
        const cursor = new RecordCursor(bytes);
        while (cursor.next()) times.push(cursor.timestamp);
      }
    }
    expect(times).toHaveLength(2);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(before - 1000);
  });
});
