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
import { deleteRecords } from '../../tests/support/kafka-deletes.ts';
import { describeWhere } from '../../tests/support/describe-where.ts';
import { whyNoKafka } from '../../tests/support/kafka-distribution.ts';
import { OpenTransaction } from '../../tests/support/kafka-transaction.ts';
import { startKafka, type TestKafka } from '../../tests/support/kafka.ts';
import { offset, type Broker, type TopicName } from '../broker.ts';
import { Cluster } from './cluster.ts';
import { GroupMember } from './group-member.ts';
import { openKafka } from './kafka.ts';
import type { KafkaOptions } from './options.ts';

const reason = whyNoKafka();

describeWhere(reason, 'taking over (on a real cluster)', () => {
  let kafka: TestKafka;
  beforeAll(async () => {
    kafka = await startKafka();
  });
  afterAll(() => kafka[Symbol.asyncDispose]());

  async function open(rest: Partial<KafkaOptions> = {}): Promise<Broker> {
    const broker = await openKafka(
      { brokers: kafka.brokers, sessionTimeoutMs: 2000, ...rest },
      silent,
    );
    onTestFinished(() => broker[Symbol.asyncDispose]());
    return broker;
  }

  /** A worker that has read five records, published, and stalls before the end of its transaction. */
  async function stalled(broker: Broker, topic: TopicName, output: TopicName) {
    const cluster = new Cluster({ brokers: kafka.brokers, sessionTimeoutMs: 2000 });
    onTestFinished(() => cluster[Symbol.asyncDispose]());
    const group = `${topic}-g`;
    const worker = new GroupMember(cluster, { group, topics: [topic], wake: () => undefined });
    const { membership } = await worker.join([]);
    const transaction = await OpenTransaction.begin(cluster, `${group}.${topic}.0`);
    await transaction.send({ topic: output, partition: 0 }, [record('k', 'stalled')]);
    const at = (await readAll(broker, topic))[5]?.offset ?? 0;
    await transaction.commitOffsets(membership, [{ topic, partition: 0, next: at }]);
    // Others take its place, as they do when its session has ended.
    await worker.leave(cluster);
    return { group, transaction, membership };
  }

  test('what a worker left open is undone, and done again by the one that takes over', async () => {
    const broker = await open();
    const topic = await numbered(broker, 10);
    const output = freshTopic('out');
    await broker.createTopics([settings(output)]);
    const { group, transaction } = await stalled(broker, topic, output);
    const heir = member(broker, { group, topics: [topic], publishes: true });
    expect(values(seenOf(await heir.take(10)))).toEqual(numbers(0, 10));
    await expect(transaction.end('commit')).rejects.toMatchObject({ code: 'BROKER_FENCED' });
    expect(await readAll(broker, output)).toEqual([]);
  });

  test('offsets under a transaction that is open are waited for, never read as they were before', async () => {
    const broker = await open();
    const topic = await numbered(broker, 10);
    const output = freshTopic('out');
    await broker.createTopics([settings(output)]);
    const { group, transaction } = await stalled(broker, topic, output);
    const heir = member(broker, { group, topics: [topic] });
    const taken = heir.take(5);
    const early = await Promise.race([taken, delay(1500, 'waits')]);
    expect(early).toBe('waits');
    await transaction.end('commit');
    expect(values(seenOf(await taken))).toEqual(numbers(5, 10));
    expect(values(await readAll(broker, output))).toEqual(['stalled']);
  });

  test('a worker that the group has gone on without cannot commit in a transaction', async () => {
    const broker = await open();
    const topic = await numbered(broker, 10);
    const output = freshTopic('out');
    await broker.createTopics([settings(output)]);
    const { membership } = await stalled(broker, topic, output);
    await using cluster = new Cluster({ brokers: kafka.brokers });
    const late = await OpenTransaction.begin(cluster, `${topic}-late`);
    await expect(
      late.commitOffsets(membership, [{ topic, partition: 0, next: 1 }]),
    ).rejects.toMatchObject({ code: 'BROKER_FENCED' });
  });

  test('a batch in hand longer than the session is published all the same, as heartbeats go on', async () => {
    const broker = await open({ sessionTimeoutMs: 1500 });
    const topic = await numbered(broker, 3);
    const output = freshTopic('out');
    await broker.createTopics([settings(output)]);
    const worker = member(broker, { group: `${topic}-g`, topics: [topic], publishes: true });
    const consumed = consumedOf(await worker.take(3));
    await delay(4000);
    await broker.publish([to(output, 0, [record('k', 'late')])], { consumed });
    expect(values(await readAll(broker, output))).toEqual(['late']);
  });

  test('a member that joins takes its share between two batches: who is in the middle of one ends it', async () => {
    const broker = await open();
    const topic = freshTopic();
    await broker.createTopics([settings(topic, { partitions: 4 })]);
    const all = [0, 1, 2, 3];
    const publish = (text: string) =>
      broker.publish(all.map((partition) => to(topic, partition, [record('k', text)])));
    await publish('first');
    const subscription = { group: `${topic}-g`, topics: [topic], publishes: true };
    const one = member(broker, subscription);
    const inHand = await one.take(4);
    const other = await open();
    const two = member(other, subscription);
    two.poll();
    // It has been told long ago that the group shares out anew, and it stays a member.
    await delay(3500);
    await broker.publish([], { consumed: consumedOf(inHand) });
    await publish('second');
    const [ofOne, ofTwo] = await Promise.all([one.take(2), two.take(2)]);
    expect(values(seenOf([...ofOne, ...ofTwo]))).toEqual(all.map(() => 'second'));
    expect(one.revoked).toHaveLength(2);
    // What it kept it was not given anew.
    expect(one.assigned).toHaveLength(4);
  });

  test('a group whose next record was forgotten is told so and never jumps', async () => {
    const broker = await open();
    const topic = await numbered(broker, 10);
    const group = `${topic}-g`;
    const all = await readAll(broker, topic);
    await broker.seek(group, { topic, partition: 0 }, offset(all[2]?.offset ?? 0));
    await using cluster = new Cluster({ brokers: kafka.brokers });
    const before = all[5]?.offset ?? 0;
    const at = { topic, partition: 0 };
    await (await cluster.node(await cluster.leader(at))).send(deleteRecords(at, before));
    const worker = member(broker, { group, topics: [topic] });
    await expect(worker.next()).rejects.toMatchObject({
      code: 'OFFSET_OUT_OF_RANGE',
      expected: expect.stringContaining(`from ${before} `) as string,
    });
  });

  test('a group that has done everything is not behind, whatever marks are at the end', async () => {
    const broker = await open();
    const topic = await numbered(broker, 10);
    const group = `${topic}-g`;
    const worker = member(broker, { group, topics: [topic] });
    await broker.commit(consumedOf(await worker.take(10)));
    worker.poll();
    await using cluster = new Cluster({ brokers: kafka.brokers });
    const undone = await OpenTransaction.begin(cluster, `${topic}-1`);
    await undone.send({ topic, partition: 0 }, [record('k', 'undone')]);
    await undone.end('abort');
    const behind = async (): Promise<number> => {
      const { topics, groups } = await broker.describe();
      const end = topics.find((one) => one.topic === topic)?.offsets[0]?.end ?? 0;
      return end - (groups.find((one) => one.group === group)?.committed[0]?.next ?? 0);
    };
    await expect.poll(behind, { timeout: 10_000 }).toBe(0);
  });

  test('a group that reads in another process is not moved behind its back', async () => {
    const broker = await open();
    const topic = await numbered(broker, 3);
    const worker = member(broker, { group: `${topic}-g`, topics: [topic] });
    await worker.take(3);
    const other = await open();
    const moved = other.seek(`${topic}-g`, { topic, partition: 0 }, offset(0));
    await expect(moved).rejects.toMatchObject({ code: 'GROUP_ACTIVE' });
  });
});
