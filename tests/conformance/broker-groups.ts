import { expect, vi } from 'vitest';
import { offset } from '../../broker/broker.ts';
import type { BrokerTest } from './broker-under-test.ts';
import { numbers, numbered } from './broker-topics.ts';
import { consumedOf, member, readAll, record, seenOf, to, values } from './broker-under-test.ts';

export function brokerGroups(test: BrokerTest): void {
  test('a new group starts at the first record that is kept', async ({ broker }) => {
    const topic = await numbered(broker, 10);
    const reader = member(broker, { group: `${topic}-g`, topics: [topic] });
    expect(values(seenOf(await reader.take(10)))).toEqual(numbers(0, 10));
    expect(reader.assigned).toEqual([{ topic, partition: 0 }]);
  });

  test('a record published while a member waits is delivered at once', async ({ broker }) => {
    const topic = await numbered(broker, 0);
    const reader = member(broker, { group: `${topic}-g`, topics: [topic] });
    const delivered = reader.next();
    await vi.waitFor(() => expect(reader.assigned.length).toBe(1), { timeout: 20_000 });
    await broker.publish([to(topic, 0, [record('k', 'now')])]);
    expect(values(seenOf(await delivered))).toEqual(['now']);
  });

  test('a restart goes on at the commit', async (under) => {
    const topic = await numbered(under.broker, 10);
    const group = `${topic}-g`;
    const reader = member(under.broker, { group, topics: [topic] });
    await under.broker.commit(consumedOf(await reader.take(10)));
    await under.broker.publish([to(topic, 0, [record('k', '10')])]);
    expect(values(seenOf(await reader.take(1)))).toEqual(['10']);
    await reader.leave();
    await under.reopen();
    const again = member(under.broker, { group, topics: [topic] });
    expect(values(seenOf(await again.take(1)))).toEqual(['10']);
  });

  test('groups are independent of each other', async ({ broker }) => {
    const topic = await numbered(broker, 5);
    const one = member(broker, { group: `${topic}-1`, topics: [topic] });
    await broker.commit(consumedOf(await one.take(5)));
    const other = member(broker, { group: `${topic}-2`, topics: [topic] });
    expect(values(seenOf(await other.take(5)))).toEqual(numbers(0, 5));
  });

  test('commits never go back, in whatever order they come', async (under) => {
    const topic = await numbered(under.broker, 3);
    const group = `${topic}-g`;
    const reader = member(under.broker, { group, topics: [topic], bytesMax: 1 });
    const early = consumedOf(await reader.next());
    const rest = await reader.take(2);
    await under.broker.commit(consumedOf(rest));
    await under.broker.commit(early);
    await under.broker.publish([to(topic, 0, [record('k', 'next')])], { consumed: early });
    await reader.leave();
    await under.reopen();
    const again = member(under.broker, { group, topics: [topic] });
    expect(values(seenOf(await again.take(1)))).toEqual(['next']);
  });

  test('what `assigned` returns replaces the committed offset', async ({ broker }) => {
    const topic = await numbered(broker, 10);
    const all = await readAll(broker, topic);
    const group = `${topic}-g`;
    const first = member(broker, { group, topics: [topic] });
    await broker.commit(consumedOf(await first.take(10)));
    await first.leave();
    const next = offset(all[4]?.offset ?? -1);
    const second = member(broker, {
      group,
      topics: [topic],
      assigned: async (partitions) => partitions.map((partition) => ({ ...partition, next })),
    });
    expect(values(seenOf(await second.take(6)))).toEqual(numbers(4, 10));
  });

  test('what `assigned` returns is committed where it is further on', async ({ broker }) => {
    const topic = await numbered(broker, 10);
    const group = `${topic}-g`;
    const end = ((await readAll(broker, topic)).at(-1)?.offset ?? 0) + 1;
    const reader = member(broker, {
      group,
      topics: [topic],
      assigned: async (partitions) => partitions.map((at) => ({ ...at, next: offset(end) })),
    });
    reader.next().catch(() => undefined);
    const of = async () => (await broker.describe()).groups.find((each) => each.group === group);
    // Past the end of the records there may be marks of transactions.
    await expect.poll(async () => (await of())?.committed[0]?.next).toBeGreaterThanOrEqual(end);
    await reader.leave();
  });

  test('an offset beyond the end is out of range, not a reason to jump', async ({ broker }) => {
    const topic = await numbered(broker, 3);
    const reader = member(broker, {
      group: `${topic}-g`,
      topics: [topic],
      assigned: async (partitions) =>
        partitions.map((partition) => ({ ...partition, next: offset(1000) })),
    });
    await expect(reader.next()).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' });
  });
}
