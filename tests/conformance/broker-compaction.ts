import { expect } from 'vitest';
import { offset, type Broker, type TopicName } from '../../broker/broker.ts';
import type { BrokerTest } from './broker-under-test.ts';
import {
  consumedOf,
  freshTopic,
  member,
  readAll,
  record,
  settings,
  to,
  values,
  type Seen,
} from './broker-under-test.ts';

const HOUR = 3600 * 1000;

export function brokerCompaction(test: BrokerTest): void {
  test(
    'records older than the retention go, the oldest first, and offsets stay',
    async (under) => {
      const topic = freshTopic();
      const { broker } = under;
      await broker.createTopics([settings(topic, { retentionMs: HOUR })]);
      await broker.publish([to(topic, 0, [record('a', '1'), record('b', '2')])]);
      await under.maintain(Date.now() + HOUR / 2);
      expect(values(await readAll(broker, topic))).toEqual(['1', '2']);
      await under.maintain(Date.now() + HOUR + 60_000);
      await broker.publish([to(topic, 0, [record('c', '3')])]);
      const left = await readAll(broker, topic);
      expect(values(left)).toEqual(['3']);
      expect(left[0]?.offset).toBeGreaterThanOrEqual(2);
      const { start, bytes } = await stateOf(broker, topic);
      expect(start).toBe(left[0]?.offset);
      await under.maintain(Date.now() + 2 * HOUR);
      expect((await stateOf(broker, topic)).bytes).toBeLessThan(bytes);
    },
    'maintain',
  );

  test(
    'the oldest records of a partition above its size go, down to that size',
    async (under) => {
      const topic = freshTopic();
      const { broker } = under;
      const retentionBytes = 20_000;
      await broker.createTopics([settings(topic, { retentionBytes })]);
      for (let index = 0; index < 100; index++) {
        await broker.publish([to(topic, 0, [record('k', noise(index))])]);
      }
      const before = await readAll(broker, topic);
      await under.maintain(Date.now());
      const { bytes } = await stateOf(broker, topic);
      expect(bytes).toBeGreaterThanOrEqual(retentionBytes);
      expect(bytes).toBeLessThan(retentionBytes + 1000);
      const left = await readAll(broker, topic);
      expect(left).toEqual(before.slice(-left.length));
      await under.reopen();
      expect(await readAll(under.broker, topic)).toEqual(left);
    },
    'maintain',
  );

  test(
    'a group whose next record was forgotten is told so and never jumps',
    async (under) => {
      const topic = freshTopic();
      const { broker } = under;
      const group = `${topic}-g`;
      await broker.createTopics([settings(topic, { retentionMs: HOUR })]);
      await broker.publish([to(topic, 0, [record('k', '1'), record('k', '2')])]);
      const first = member(broker, { group, topics: [topic], bytesMax: 1 });
      await broker.commit(consumedOf(await first.next()));
      await first.leave();
      await under.maintain(Date.now() + 2 * HOUR);
      await broker.publish([to(topic, 0, [record('k', '3')])]);
      const second = member(broker, { group, topics: [topic] });
      await expect(second.next()).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' });
      const { start } = await stateOf(broker, topic);
      await broker.seek(group, { topic, partition: 0 }, start);
      expect(values(await readAll(broker, topic, { next: start }))).toEqual(['3']);
      const early = broker.seek(group, { topic, partition: 0 }, offset(0));
      await expect(early).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' });
    },
    'maintain',
  );

  test(
    'compaction keeps the newest value of each key, in order, at its offset',
    async (under) => {
      const topic = freshTopic();
      await under.broker.createTopics([settings(topic, { cleanup: 'compact' })]);
      for (let round = 0; round < 40; round++) {
        const keys = [`k${round % 7}`, null, `k${round % 3}`, `other ${round}`];
        await under.broker.publish([
          to(
            topic,
            0,
            keys.map((key, index) => record(key, `${round}:${index}`)),
          ),
        ]);
        if (round % 15 === 0) await under.maintain(Date.now());
        if (round === 30) await under.reopen();
      }
      const { broker: now } = under;
      const before = await readAll(now, topic);
      await under.maintain(Date.now());
      await under.maintain(Date.now());
      const after = await readAll(now, topic);
      expect(after).toEqual(newest(before));
      await now.publish([to(topic, 0, [record('k0', 'again')])]);
      await under.maintain(Date.now());
      expect(values((await readAll(now, topic)).filter(({ key }) => key === 'k0'))).toEqual([
        'again',
      ]);
    },
    'maintain',
  );

  test(
    'a tombstone stays readable for its retention, and takes no older value back with it',
    async (under) => {
      const topic = freshTopic();
      const { broker } = under;
      const rest = { cleanup: 'compact', tombstoneRetentionMs: 24 * HOUR } as const;
      await broker.createTopics([settings(topic, rest)]);
      await broker.publish([to(topic, 0, [record('gone', '1'), record('kept', '2')])]);
      await broker.publish([to(topic, 0, [record('gone', null)])]);
      await broker.publish([to(topic, 0, [record('last', '3')])]);
      await under.maintain(Date.now() + HOUR);
      const kept = await readAll(broker, topic);
      expect(kept.map(({ key, value }) => [key, value])).toEqual([
        ['kept', '2'],
        ['gone', null],
        ['last', '3'],
      ]);
      await under.maintain(Date.now() + 25 * HOUR);
      await broker.publish([to(topic, 0, [record('last', '4')])]);
      await under.maintain(Date.now() + 25 * HOUR);
      expect((await readAll(broker, topic)).map(({ key }) => key)).toEqual(['kept', 'last']);
    },
    'maintain',
  );

  test(
    'a reader in the middle of a partition goes on over what compaction has left',
    async (under) => {
      const topic = freshTopic();
      const { broker } = under;
      await broker.createTopics([settings(topic, { cleanup: 'compact' })]);
      for (let index = 0; index < 20; index++) {
        await broker.publish([to(topic, 0, [record(`k${index % 4}`, `${index}`)])]);
      }
      const group = `${topic}-g`;
      const reader = member(broker, { group, topics: [topic], bytesMax: 1 });
      const first = [await reader.next(), await reader.next()].flat();
      await under.maintain(Date.now());
      const rest = await reader.take(4);
      expect(rest.reduce((sum, { count }) => sum + count, 0)).toBeLessThanOrEqual(18);
      await broker.commit(consumedOf([...first, ...rest]));
      const { end } = await stateOf(broker, topic);
      const state = await broker.describe();
      const committed = state.groups.find((one) => one.group === group)?.committed;
      expect(committed).toEqual([{ topic, partition: 0, next: end }]);
    },
    'maintain',
  );
}

/** What compaction must leave of records: those without a key, and the last of each key. */
function newest(seen: readonly Seen[]): Seen[] {
  const last = new Map(seen.map(({ key, offset }) => [key, offset]));
  return seen.filter(({ key, offset }) => key === null || last.get(key) === offset);
}

/** Text that does not compress. */
function noise(seed: number): string {
  let text = '';
  for (let index = 0; index < 40; index++) {
    text += Math.imul(seed * 40 + index + 1, 0x9e3779b1).toString(36);
  }
  return text;
}

async function stateOf(broker: Broker, topic: TopicName) {
  const { topics } = await broker.describe();
  const found = topics.find((one) => one.topic === topic)?.offsets[0];
  if (found === undefined) throw new Error('the topic is gone');
  return found;
}
