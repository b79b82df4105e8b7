import { afterAll, beforeAll, expect, test } from 'vitest';
import { silent } from '../../log.ts';
import {
  freshTopic,
  record,
  seenOf,
  settings,
  to,
} from '../../tests/conformance/broker-under-test.ts';
import { noise } from '../../tests/noise.ts';
import { describeWhere } from '../../tests/support/describe-where.ts';
import { whyNoKafka } from '../../tests/support/kafka-distribution.ts';
import { startKafka, type TestKafka } from '../../tests/support/kafka.ts';
import { Wake } from '../wake.ts';
import { Cluster } from './cluster.ts';
import { Fetching } from './fetching.ts';
import { HeldPartition } from './held-partition.ts';
import { openKafka } from './kafka.ts';

const reason = whyNoKafka();
const MIB = 1024 * 1024;

describeWhere(reason, 'reading ahead (on a real cluster)', () => {
  let kafka: TestKafka;
  beforeAll(async () => {
    kafka = await startKafka({ nodes: 2 });
  }, 180_000);
  afterAll(() => kafka[Symbol.asyncDispose]());

  test('a partition that nobody takes from is bounded, and holds up no other of its node', async () => {
    const { brokers } = kafka;
    await using broker = await openKafka({ brokers, compression: 'none' }, silent);
    await using cluster = new Cluster({ brokers });
    const topic = freshTopic();
    await broker.createTopics([settings(topic, { partitions: 2 })]);
    const text = noise(100_000).toString('latin1');
    const backlog = Array.from({ length: 100 }, () => record('k', text));
    await broker.publish([to(topic, 0, backlog)]);
    const [stuck, flowing] = [0, 1].map((partition) => {
      const from = { group: 'g', generation: partition, next: 0, committed: 0 };
      return new HeldPartition({ topic, partition }, from);
    }) as [HeldPartition, HeldPartition];
    const ending = new AbortController();
    using awaited = new Wake(ending.signal);
    const wake = (): void => awaited.wake();
    const fetching = new Fetching(cluster, { held: () => [stuck, flowing], wake });
    fetching.kick();
    for (let round = 0; round < 30; round++) {
      await broker.publish([to(topic, 1, [record('k', `${round}`)])]);
      while (!flowing.hasRecords) await awaited.woken(null);
      fetching.requireHealthy();
      const bounds = { wanted: MIB, most: MIB, records: Infinity, first: true };
      const batch = flowing.take(bounds);
      expect(batch === null ? [] : seenOf([batch]).map(({ value }) => value)).toEqual([`${round}`]);
    }
    expect(stuck.hasRoom).toBe(false);
    // Less than a third of what is there was read, however long nobody takes it.
    expect(stuck.ahead).toBeLessThan(34);
    fetching.stop();
  });

  test('a process that says its rack reads from the replica there, whoever leads', async () => {
    const { brokers } = kafka;
    const topic = freshTopic();
    await using broker = await openKafka({ brokers }, silent);
    await broker.createTopics([settings(topic, { partitions: 2 })]);
    await using cluster = new Cluster({ brokers, rack: 'rack-2' });
    const partitions = [0, 1].map((partition) => ({ topic, partition }));
    const leaders = await Promise.all(partitions.map((partition) => cluster.leader(partition)));
    expect(new Set(leaders)).toEqual(new Set([1, 2]));
    await broker.publish(
      partitions.map(({ partition }) => to(topic, partition, [record('k', '1')])),
    );
    const held = partitions.map((partition) => {
      const from = { group: 'g', generation: 1, next: 0, committed: 0 };
      return new HeldPartition(partition, from);
    });
    const ending = new AbortController();
    using awaited = new Wake(ending.signal);
    const fetching = new Fetching(cluster, { held: () => held, wake: () => awaited.wake() });
    fetching.kick();
    while (!held.every(({ hasRecords }) => hasRecords)) {
      await awaited.woken(null);
      fetching.requireHealthy();
    }
    fetching.stop();
    expect(held.map(({ node }) => node)).toEqual([2, 2]);
  });
});
