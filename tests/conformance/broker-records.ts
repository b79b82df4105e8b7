import { expect } from 'vitest';
import { offset, type Broker, type TopicName } from '../../broker/broker.ts';
import { RecordCursor } from '../../broker/records.ts';
import type { BrokerTest } from './broker-under-test.ts';
import {
  freshTopic,
  member,
  readAll,
  record,
  seenOf,
  settings,
  to,
  values,
} from './broker-under-test.ts';

export function brokerRecords(test: BrokerTest): void {
  test('headers, null keys, null values, op, version and time come back as they were', async (under) => {
    const topic = freshTopic();
    await under.broker.createTopics([settings(topic)]);
    const written = [
      { key: null, value: Buffer.from('no key'), timestamp: 1 },
      { key: Buffer.from('k'), value: null, timestamp: 1_732_200_000_123 },
      { key: Buffer.alloc(0), value: Buffer.alloc(0), timestamp: 1 },
      { key: Buffer.from('k'), value: Buffer.from([0, 255]), timestamp: 2, op: 'd', version: -1n },
      {
        key: Buffer.from('k'),
        value: Buffer.from('v'),
        timestamp: 3,
        op: 'c',
        version: 2n ** 63n - 1n,
        headers: [
          { name: '__debezium.newkey', value: Buffer.from('é') },
          { name: 'empty', value: Buffer.alloc(0) },
          { name: 'null', value: null },
          { name: 'empty', value: Buffer.from('twice') },
        ],
      },
    ];
    await under.broker.publish([to(topic, 0, written)]);
    await under.reopen();
    const read: unknown[] = [];
    const from = { topic, partition: 0, next: offset(0) };
    for await (const { segments } of under.broker.read(from, new AbortController().signal)) {
      for (const { bytes } of segments) {
        const cursor = new RecordCursor(bytes);
        while (cursor.next()) read.push(cursor.plain());
      }
    }
    expect(read).toEqual(written.map((one) => ({ headers: [], ...one })));
  });

  test('records published to several partitions from one writer are whole in each', async (under) => {
    const topics = [freshTopic(), freshTopic()];
    await under.broker.createTopics(topics.map((topic) => settings(topic, { partitions: 2 })));
    const { records } = to(topics[0] as TopicName, 0, [record('a', '1'), record('b', '2')]);
    const places = topics.flatMap((topic) => [0, 1].map((partition) => ({ topic, partition })));
    await under.broker.publish(places.map((place) => ({ ...place, records })));
    await under.reopen();
    for (const { topic, partition } of places) {
      expect(values(await readAll(under.broker, topic, { partition }))).toEqual(['1', '2']);
    }
  });

  test(
    'a record of 16 MiB comes back whole',
    async (under) => {
      const topic = freshTopic();
      await under.broker.createTopics([settings(topic)]);
      const value = Buffer.alloc(16 * 1024 * 1024);
      for (let at = 0; at < value.length; at += 4) value.writeUInt32LE((at * 2654435761) >>> 0, at);
      const large = { key: Buffer.from('large'), value, timestamp: 1 };
      await under.broker.publish([to(topic, 0, [record('a', '1'), large, record('b', '2')])]);
      await using reader = member(under.broker, { group: `${topic}-g`, topics: [topic] });
      const batches = await reader.take(3);
      const found: (Buffer | null)[] = [];
      for (const { bytes } of batches.flatMap(({ segments }) => segments)) {
        const cursor = new RecordCursor(bytes);
        while (cursor.next()) found.push(cursor.value());
      }
      expect(found.length).toBe(3);
      expect(found[1]?.equals(value)).toBe(true);
      expect(found[2]?.toString()).toBe('2');
    },
    'large records',
  );
}

export function brokerReading(test: BrokerTest): void {
  test('a partition can be read from any offset to its present end', async ({ broker }) => {
    const topic = freshTopic();
    await fill(broker, topic, 50);
    const all = await readAll(broker, topic);
    expect(values(all)).toEqual(Array.from({ length: 50 }, (_, index) => `${index}`));
    const from = all[33]?.offset ?? -1;
    expect(values(await readAll(broker, topic, { next: from }))).toEqual(values(all.slice(33)));
    expect(await readAll(broker, topic, { next: (all.at(-1)?.offset ?? 0) + 1 })).toEqual([]);
  });

  test('the offset at a time is that of the first record that is not older', async ({ broker }) => {
    const topic = freshTopic();
    await broker.createTopics([settings(topic)]);
    for (const base of [1000, 2000, 3000]) {
      const records = [0, 100, 200].map((more) => record('k', `${base + more}`, base + more));
      await broker.publish([to(topic, 0, records)]);
    }
    const partition = { topic, partition: 0 };
    const valueAt = async (time: number): Promise<string | null | undefined> =>
      (await readAll(broker, topic, { next: await broker.offsetAt(partition, time) }))[0]?.value;
    expect(await valueAt(0)).toBe('1000');
    expect(await valueAt(1000)).toBe('1000');
    expect(await valueAt(1101)).toBe('1200');
    expect(await valueAt(1201)).toBe('2000');
    expect(await valueAt(3200)).toBe('3200');
    const end = (await broker.describe()).topics.find((one) => one.topic === topic)?.offsets[0]
      ?.end;
    expect(await broker.offsetAt(partition, 3201)).toBe(end);
  });

  test('a group can be moved to an offset, a time, the beginning and the end', async ({
    broker,
  }) => {
    const topic = freshTopic();
    const partition = { topic, partition: 0 };
    const group = `${topic}-g`;
    await broker.createTopics([settings(topic)]);
    const times = [1000, 2000, 3000, 4000];
    for (const time of times) {
      await broker.publish([to(topic, 0, [record('k', `${time}`, time)])]);
    }
    const all = await readAll(broker, topic);
    const firstOf = async (next: number): Promise<string | null | undefined> => {
      await broker.seek(group, partition, offset(next));
      await using reader = member(broker, { group, topics: [topic] });
      return seenOf(await reader.take(1))[0]?.value;
    };
    expect(await firstOf(all[2]?.offset ?? -1)).toBe('3000');
    expect(await firstOf(await broker.offsetAt(partition, 1500))).toBe('2000');
    expect(await firstOf(0)).toBe('1000');
    const state = await broker.describe();
    const end = state.topics.find((one) => one.topic === topic)?.offsets[0]?.end ?? offset(-1);
    await broker.seek(group, partition, end);
    await broker.publish([to(topic, 0, [record('k', '5000', 5000)])]);
    await using reader = member(broker, { group, topics: [topic] });
    expect(values(seenOf(await reader.take(1)))).toEqual(['5000']);
  });

  test(
    'a delivery holds no more records than asked for, and the rest comes after it',
    async ({ broker }) => {
      const topic = freshTopic();
      await broker.createTopics([settings(topic, { partitions: 2 })]);
      const texts = Array.from({ length: 7 }, (_, index) => String(index));
      for (const partition of [0, 1]) {
        await broker.publish([
          to(
            topic,
            partition,
            texts.map((text) => record('k', text)),
          ),
        ]);
      }
      const reader = member(broker, { group: `${topic}-g`, topics: [topic], recordsMax: 3 });
      const seen: string[][] = [[], []];
      while ((seen[0]?.length ?? 0) + (seen[1]?.length ?? 0) < 14) {
        const batches = await reader.next();
        expect(batches.reduce((sum, { count }) => sum + count, 0)).toBeLessThanOrEqual(3);
        for (const batch of batches)
          seen[batch.partition]?.push(...values(seenOf([batch])).map(String));
      }
      expect(seen).toEqual([texts, texts]);
    },
    'exact deliveries',
  );
}

async function fill(broker: Broker, topic: TopicName, count: number) {
  await broker.createTopics([settings(topic)]);
  for (let index = 0; index < count; index += 5) {
    const records = [0, 1, 2, 3, 4].map((more) => record(`k${index + more}`, `${index + more}`));
    await broker.publish([to(topic, 0, records)]);
  }
}
