import { describe, expect, test as anyTest } from 'vitest';
import { brokerCompaction } from './broker-compaction.ts';
import { brokerCrash } from './broker-crash.ts';
import { brokerGroups } from './broker-groups.ts';
import { brokerMembers } from './broker-members.ts';
import { brokerReading, brokerRecords } from './broker-records.ts';
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
  type BrokerFactory,
  type BrokerTest,
} from './broker-under-test.ts';

/** What the port `Broker` promises. Every implementation runs it. */
export function brokerConformance(name: string, factory: BrokerFactory): void {
  const test: BrokerTest = (title, run, needs) =>
    // The names are at the callers, and so are the assertions.
    // oxlint-disable-next-line vitest/valid-title, vitest/expect-expect
    anyTest(title, async ({ skip }) => {
      const reason = needs === undefined ? undefined : factory.cannot?.[needs];
      if (reason !== undefined) skip(reason);
      await using under = await factory.open();
      await run(under);
    });
  describe(`${name} as a broker`, () => {
    describe('topics', () => {
      topics(test);
    });
    describe('publishing', () => {
      publishing(test);
    });
    describe('records', () => {
      brokerRecords(test);
    });
    describe('reading', () => {
      brokerReading(test);
    });
    describe('groups', () => {
      brokerGroups(test);
      brokerMembers(test);
    });
    describe('retention and compaction', () => {
      brokerCompaction(test);
    });
    describe('crashes', () => {
      brokerCrash(test);
    });
  });
}

function topics(test: BrokerTest): void {
  test('a topic that exists is left as it is', async ({ broker }) => {
    const topic = freshTopic();
    await broker.createTopics([settings(topic, { partitions: 3 })]);
    await broker.publish([to(topic, 2, [record('k', 'v')])]);
    await broker.createTopics([settings(topic, { partitions: 3 })]);
    expect(values(await readAll(broker, topic, { partition: 2 }))).toEqual(['v']);
  });

  test('another number of partitions is refused, and nothing is created', async ({ broker }) => {
    const topic = freshTopic();
    const other = freshTopic('other');
    await broker.createTopics([settings(topic, { partitions: 3 })]);
    const wrong = broker.createTopics([settings(other), settings(topic, { partitions: 4 })]);
    await expect(wrong).rejects.toMatchObject({ code: 'TOPIC_MISMATCH' });
    const names = (await broker.describe()).topics.map((found) => found.topic);
    expect(names).toContain(topic);
    expect(names).not.toContain(other);
  });

  test('the state shows settings, offsets and groups', async ({ broker }) => {
    const topic = freshTopic();
    await broker.createTopics([settings(topic, { partitions: 2, cleanup: 'compact' })]);
    await broker.publish([to(topic, 1, [record('a', '1'), record('b', '2')])]);
    await using reader = member(broker, { group: `${topic}-g`, topics: [topic] });
    await broker.commit(consumedOf(await reader.take(2)));
    const state = await broker.describe();
    const found = state.topics.find((one) => one.topic === topic);
    expect(found).toMatchObject({ partitions: 2, cleanup: 'compact' });
    expect(found?.offsets.map(({ start }) => start)).toEqual([0, 0]);
    expect(found?.offsets[0]?.end).toBe(0);
    expect(found?.offsets[1]?.end).toBeGreaterThanOrEqual(2);
    const group = state.groups.find((one) => one.group === `${topic}-g`);
    expect(group?.members).toBe(1);
    expect(group?.committed).toContainEqual({
      topic,
      partition: 1,
      next: expect.any(Number) as number,
    });
  });

  test('an unknown topic is an error with a code', async ({ broker }) => {
    const topic = freshTopic('unknown');
    const code = { code: 'TOPIC_UNKNOWN' };
    await expect(broker.publish([to(topic, 0, [record('k', 'v')])])).rejects.toMatchObject(code);
    await expect(readAll(broker, topic)).rejects.toMatchObject(code);
    const reader = member(broker, { group: `${topic}-g`, topics: [topic] });
    await expect(reader.next()).rejects.toMatchObject(code);
  });
}

function publishing(test: BrokerTest): void {
  test('records of one publish are in all its topics, with the consumed offsets', async (under) => {
    const { broker } = under;
    const [input, first, second] = [freshTopic('in'), freshTopic('a'), freshTopic('b')];
    const group = `${input}-g`;
    await broker.createTopics([input, first, second].map((topic) => settings(topic)));
    await broker.publish([to(input, 0, [record('k', '1'), record('k', '2')])]);
    const reader = member(broker, { group, topics: [input] });
    const batches = await reader.take(2);
    await broker.publish([to(first, 0, [record('k', 'a')]), to(second, 0, [record('k', 'b')])], {
      consumed: consumedOf(batches),
    });
    await reader.leave();
    await broker.publish([to(input, 0, [record('k', '3')])]);
    expect(values(await readAll(broker, first))).toEqual(['a']);
    expect(values(await readAll(broker, second))).toEqual(['b']);
    await using again = member(broker, { group, topics: [input] });
    expect(values(seenOf(await again.take(1)))).toEqual(['3']);
  });

  test('nothing of a publish that fails is visible, now or later', async (under) => {
    const [first, second] = [freshTopic('a'), freshTopic('b')];
    await under.broker.createTopics([settings(first), settings(second)]);
    const records = [record('k', 'never')];
    await expect(
      under.broker.publish([to(first, 0, records), to(freshTopic('none'), 0, records)]),
    ).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' });
    await under.broker.publish([to(first, 0, [record('k', 'x')]), to(second, 0, records)]);
    expect(values(await readAll(under.broker, first))).toEqual(['x']);
    await under.reopen();
    expect(values(await readAll(under.broker, first))).toEqual(['x']);
  });

  test('a partition keeps the order of its publishes, also of those under way together', async ({
    broker,
  }) => {
    const topic = freshTopic();
    await broker.createTopics([settings(topic, { partitions: 2 })]);
    const expected: string[] = [];
    const publishes = Array.from({ length: 30 }, (_, publish) => {
      // Large and small ones take different ways; the order must not depend on it.
      const records = Array.from({ length: publish % 3 === 0 ? 2000 : 2 }, (_, index) => {
        const text = `${publish}:${index}`;
        expected.push(text);
        return record(`key ${index}`, text);
      });
      return broker.publish([to(topic, 1, records)]);
    });
    await Promise.all(publishes);
    const seen = await readAll(broker, topic, { partition: 1 });
    expect(values(seen)).toEqual(expected);
    expect(isAscending(seen.map((one) => one.offset))).toBe(true);
    expect(await readAll(broker, topic)).toEqual([]);
  });

  test('one publish may hold several writers for a partition, which keep their order', async ({
    broker,
  }) => {
    const topic = freshTopic();
    await broker.createTopics([settings(topic)]);
    await broker.publish([
      to(topic, 0, [record('a', '1'), record('b', '2')]),
      to(topic, 0, []),
      to(topic, 0, [record('c', '3')]),
    ]);
    expect(values(await readAll(broker, topic))).toEqual(['1', '2', '3']);
  });

  test('the writers may be reused when a publish has settled', async ({ broker }) => {
    const topic = freshTopic();
    await broker.createTopics([settings(topic)]);
    const outgoing = to(topic, 0, []);
    for (let round = 0; round < 20; round++) {
      outgoing.records.reset();
      for (let index = 0; index < (round % 2 === 0 ? 1 : 1000); index++) {
        outgoing.records.add(record('k', `${round}:${index}`));
      }
      await broker.publish([outgoing]);
    }
    const seen = values(await readAll(broker, topic));
    expect(seen.length).toBe(10 * 1001);
    expect(new Set(seen).size).toBe(seen.length);
  });

  test(
    'the newest process to use a producer name fences the one before',
    async (under) => {
      const topic = freshTopic();
      const { broker } = under;
      const producer = `${topic}-producer`;
      await broker.createTopics([settings(topic)]);
      await broker.publish([to(topic, 0, [record('k', 'old')])], { producer });
      await using newer = await under.another();
      await newer.publish([to(topic, 0, [record('k', 'new')])], { producer });
      await expect(
        broker.publish([to(topic, 0, [record('k', 'zombie')])], { producer }),
      ).rejects.toMatchObject({ code: 'BROKER_FENCED' });
      expect(values(await readAll(newer, topic))).toEqual(['old', 'new']);
    },
    'two at once',
  );
}

const isAscending = (offsets: readonly number[]): boolean =>
  offsets.every((one, index) => index === 0 || one > (offsets[index - 1] ?? Infinity));
