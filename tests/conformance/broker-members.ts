import { expect, vi } from 'vitest';
import { offset, type Broker, type TopicName } from '../../broker/broker.ts';
import type { BrokerTest } from './broker-under-test.ts';
import { numbers, numbered, spread, publishToAll } from './broker-topics.ts';
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
} from './broker-under-test.ts';

export function brokerMembers(test: BrokerTest): void {
  test('two members split the partitions, and each record comes to one of them', async ({
    broker,
  }) => {
    const topic = await spread(broker, 4);
    const [one, two] = await twoMembers(broker, topic);
    await publishToAll(broker, topic, 4, 'x');
    const seen = await Promise.all([one.take(2), two.take(2)]);
    expect(new Set(seen.flatMap((batches) => values(seenOf(batches))))).toEqual(
      new Set([0, 1, 2, 3].map((partition) => `x${partition}`)),
    );
  });

  test("a leaving member's partitions move, and go on at the commit", async ({ broker }) => {
    const topic = await spread(broker, 4);
    const [one, two] = await twoMembers(broker, topic);
    await publishToAll(broker, topic, 4, 'x');
    const oneSaw = await one.take(2);
    const twoSaw = await two.take(2);
    await broker.commit(consumedOf(oneSaw));
    await one.leave();
    await publishToAll(broker, topic, 4, 'y');
    await broker.commit(consumedOf(twoSaw));
    const seen = values(seenOf(await two.take(4)));
    expect(new Set(seen)).toEqual(new Set([0, 1, 2, 3].map((partition) => `y${partition}`)));
  });

  test('what was read under an assignment that has ended is fenced', async (under) => {
    const { broker } = under;
    const topic = await numbered(broker, 3);
    const output = freshTopic('output');
    const group = `${topic}-g`;
    await broker.createTopics([settings(output)]);
    const zombie = member(broker, { group, topics: [topic] });
    const consumed = consumedOf(await zombie.take(3));
    await zombie.leave();
    const heir = member(broker, { group, topics: [topic] });
    const batches = await heir.take(3);
    const late = broker.publish([to(output, 0, [record('k', 'zombie')])], { consumed });
    await expect(late).rejects.toMatchObject({ code: 'BROKER_FENCED' });
    await expect(broker.commit(consumed)).rejects.toMatchObject({ code: 'BROKER_FENCED' });
    await broker.publish([to(output, 0, [record('k', 'heir')])], { consumed: consumedOf(batches) });
    expect(values(await readAll(broker, output))).toEqual(['heir']);
  });

  test('a fenced publish takes no other with it', async ({ broker }) => {
    const topic = await numbered(broker, 1);
    const output = freshTopic('output');
    await broker.createTopics([settings(output)]);
    const reader = member(broker, { group: `${topic}-g`, topics: [topic] });
    const [consumed] = consumedOf(await reader.take(1));
    if (consumed === undefined) throw new Error('nothing was delivered');
    const stale = { ...consumed, generation: consumed.generation - 1 };
    const results = await Promise.allSettled([
      broker.publish([to(output, 0, [record('k', '1')])]),
      broker.publish([to(output, 0, [record('k', 'stale')])], { consumed: [stale] }),
      broker.publish([to(output, 0, [record('k', '2')])]),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(values(await readAll(broker, output))).toEqual(['1', '2']);
  });

  test('a seek fences the member in flight, which starts there', async ({ broker }) => {
    const topic = await numbered(broker, 5);
    const all = await readAll(broker, topic);
    const group = `${topic}-g`;
    const reader = member(broker, { group, topics: [topic] });
    const batches = await reader.take(5);
    await broker.seek(group, { topic, partition: 0 }, offset(all[3]?.offset ?? -1));
    const late = broker.publish([], { consumed: consumedOf(batches) });
    await expect(late).rejects.toMatchObject({ code: 'BROKER_FENCED' });
    expect(values(seenOf(await reader.take(2)))).toEqual(numbers(3, 5));
  });

  test('a paused partition gets nothing while the others do, and loses nothing by it', async ({
    broker,
  }) => {
    const topic = await spread(broker, 3);
    await publishToAll(broker, topic, 3, 'x');
    let paused = [{ topic, partition: 1 }];
    const subscription = { group: `${topic}-g`, topics: [topic], paused: () => paused };
    const reader = member(broker, subscription);
    expect(new Set(values(seenOf(await reader.take(2))))).toEqual(new Set(['x0', 'x2']));
    // Nothing is left but what is paused: the reader is asked again all the same.
    expect(await reader.next()).toEqual([]);
    await publishToAll(broker, topic, 3, 'y');
    expect(new Set(values(seenOf(await reader.take(2))))).toEqual(new Set(['y0', 'y2']));
    paused = [];
    expect(values(seenOf(await reader.take(2)))).toEqual(['x1', 'y1']);
  });

  test('what was published with an offset can be read as soon as a group is seen to have it', async ({
    broker,
  }) => {
    const topic = await numbered(broker, 3);
    const output = freshTopic('output');
    await broker.createTopics([settings(output)]);
    const group = `${topic}-g`;
    const reader = member(broker, { group, topics: [topic] });
    const consumed = consumedOf(await reader.take(3));
    const published = broker.publish([to(output, 0, [record('k', 'made of it')])], { consumed });
    const isCommitted = async (): Promise<boolean> => {
      const { groups } = await broker.describe();
      // Marks of transactions may stand behind what was read: a cluster counts them.
      return groups.some((one) => one.group === group && (one.committed[0]?.next ?? 0) >= 3);
    };
    while (!(await isCommitted())) await new Promise((resolve) => setImmediate(resolve));
    expect(values(await readAll(broker, output))).toEqual(['made of it']);
    await published;
  });

  test('an abort ends the subscription, not the batch in hand', async ({ broker }) => {
    const topic = await numbered(broker, 2);
    const ending = new AbortController();
    let deliveries = 0;
    const subscription = { group: `${topic}-g`, topics: [topic] };
    for await (const batches of broker.subscribe(subscription, ending.signal)) {
      deliveries++;
      ending.abort();
      await broker.publish([to(topic, 0, [record('k', 'later')])], {
        consumed: consumedOf(batches),
      });
    }
    expect(deliveries).toBe(1);
    const again = member(broker, subscription);
    expect(seenOf(await again.next()).length).toBeGreaterThan(0);
  });

  test(
    'a delivery holds one batch per partition and all of them stay below the bound',
    async ({ broker }) => {
      const topic = await spread(broker, 3);
      const bytesMax = 10_000;
      for (let round = 0; round < 20; round++) {
        await publishToAll(broker, topic, 3, 'z'.repeat(1000));
      }
      const reader = member(broker, { group: `${topic}-g`, topics: [topic], bytesMax });
      const served = new Set<number>();
      for (let count = 0; count < 60;) {
        const batches = await reader.next();
        expect(new Set(batches.map(({ partition }) => partition)).size).toBe(batches.length);
        expect(batches.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(bytesMax);
        count += batches.reduce((sum, batch) => sum + batch.count, 0);
        // Fair: before half of it is delivered, every partition has had its turn.
        if (count <= 30) batches.forEach(({ partition }) => served.add(partition));
      }
      expect(served.size).toBe(3);
    },
    'exact deliveries',
  );
}

/** Two members of a group that have found their halves. */
async function twoMembers(broker: Broker, topic: TopicName) {
  const subscription = { group: `${topic}-g`, topics: [topic] };
  const one = member(broker, subscription);
  one.poll();
  const two = member(broker, subscription);
  two.poll();
  const heldBy = (reader: typeof one): number => {
    const held = new Set(reader.assigned.map(({ partition }) => partition));
    for (const { partition } of reader.revoked) held.delete(partition);
    return held.size;
  };
  await vi.waitFor(() => expect([heldBy(one), heldBy(two)]).toEqual([2, 2]), { timeout: 30_000 });
  return [one, two] as const;
}
