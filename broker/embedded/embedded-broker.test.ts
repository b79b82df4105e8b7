import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { silent } from '../../log.ts';
import {
  consumedOf,
  freshTopic,
  member,
  readAll,
  record,
  settings,
  to,
  values,
} from '../../tests/conformance/broker-under-test.ts';
import { noise } from '../../tests/noise.ts';
import { temporaryFolder } from '../../tests/temporary-folder.ts';
import { openDatabase } from './database.ts';
import { Durability } from './durability.ts';
import { EmbeddedBroker } from './embedded-broker.ts';
import { openEmbedded, type Embedded, type EmbeddedOptions } from './embedded.ts';

const open = (path: string, options: Omit<EmbeddedOptions, 'path'> = {}): Promise<Embedded> =>
  openEmbedded({ path, ...options }, silent);

test('publishes of one turn share a transaction', async () => {
  const path = await temporaryFolder();
  await using embedded = await open(path);
  const topic = freshTopic();
  await embedded.broker.createTopics([settings(topic)]);
  const wal = join(path, 'broker.sqlite-wal');
  const before = (await stat(wal)).size;
  const one = [to(topic, 0, [record('k', 'v')])];
  await Promise.all(Array.from({ length: 200 }, () => embedded.broker.publish(one)));
  // Each transaction writes at least the page of the partition anew: two hundred would be megabytes.
  expect((await stat(wal)).size - before).toBeLessThan(200 * 1024);
  expect((await readAll(embedded.broker, topic)).length).toBe(200);
});

test('a record above the bound is refused with its size, and nothing of its publish is kept', async () => {
  const path = await temporaryFolder();
  await using embedded = await open(path, { recordBytesMax: 1000 });
  const topic = freshTopic();
  await embedded.broker.createTopics([settings(topic)]);
  const records = [record('k', 'small'), record('k', 'x'.repeat(1000))];
  await expect(embedded.broker.publish([to(topic, 0, records)])).rejects.toMatchObject({
    code: 'RECORD_TOO_LARGE',
    expected: 'at most 1000 bytes, headers included',
  });
  expect(await readAll(embedded.broker, topic)).toEqual([]);
});

test('what was read before a restart is stale after it', async () => {
  const path = await temporaryFolder();
  const topic = freshTopic();
  const subscription = { group: 'g', topics: [topic] };
  const consumed = await (async () => {
    await using embedded = await open(path);
    await embedded.broker.createTopics([settings(topic)]);
    await embedded.broker.publish([to(topic, 0, [record('k', '1')])]);
    await using reader = member(embedded.broker, subscription);
    return consumedOf(await reader.take(1));
  })();
  await using embedded = await open(path);
  await using reader = member(embedded.broker, subscription);
  await reader.take(1);
  const late = embedded.broker.publish([], { consumed });
  await expect(late).rejects.toMatchObject({ code: 'BROKER_FENCED' });
});

test('a closed broker refuses its users, and ends those that wait, with a code', async () => {
  const path = await temporaryFolder();
  const topic = freshTopic();
  const embedded = await open(path);
  const { broker } = embedded;
  await broker.createTopics([settings(topic)]);
  const code = { code: 'BROKER_CLOSED' };
  const waiting = member(broker, { group: 'g', topics: [topic] }).next();
  const ended = waiting.then(
    () => null,
    (error: unknown) => error,
  );
  const last = broker.publish([to(topic, 0, [record('k', 'last')])]);
  await embedded[Symbol.asyncDispose]();
  await embedded[Symbol.asyncDispose]();
  await last;
  expect(await ended).toMatchObject(code);
  await expect(broker.publish([])).rejects.toMatchObject(code);
  await using again = await open(path);
  expect(values(await readAll(again.broker, topic))).toEqual(['last']);
});

test('when the disk does not confirm, a publish is not seen, and nothing builds on it', async () => {
  const path = await temporaryFolder();
  const database = openDatabase(path, true);
  const durability = await Durability.open(database, path, true);
  const parts = { database, durability, log: silent, now: Date.now, options: {} };
  await using broker = new EmbeddedBroker(parts);
  const topic = freshTopic();
  await broker.createTopics([settings(topic)]);
  await broker.publish([to(topic, 0, [record('k', 'before')])]);
  const held = Promise.withResolvers<void>();
  const sync = vi.spyOn(durability, 'sync').mockReturnValueOnce(held.promise);
  const publish = broker.publish([to(topic, 0, [record('k', 'lost')])]);
  await vi.waitFor(() => expect(sync).toHaveBeenCalled());
  expect(values(await readAll(broker, topic))).toEqual(['before']);
  expect(await broker.offsetAt({ topic, partition: 0 }, 0)).toBe(0);
  expect(await broker.offsetAt({ topic, partition: 0 }, Date.now() + 1000)).toBe(1);
  held.reject(new Error('input/output error'));
  await expect(publish).rejects.toThrow('input/output error');
  const later = broker.publish([to(topic, 0, [record('k', 'later')])]);
  await expect(later).rejects.toThrow('input/output error');
  expect(values(await readAll(broker, topic))).toEqual(['before']);
});

test('compaction with room for few keys takes several passes to the same end', async () => {
  const path = await temporaryFolder();
  await using embedded = await open(path, { compactionKeysMax: 10 });
  const { broker } = embedded;
  const topic = freshTopic();
  await broker.createTopics([settings(topic, { cleanup: 'compact' })]);
  for (let round = 0; round < 3; round++) {
    const records = Array.from({ length: 95 }, (_, index) => record(`k${index}`, `${round}`));
    await broker.publish([to(topic, 0, records)]);
  }
  await embedded.maintain();
  const left = await readAll(broker, topic);
  expect(left.length).toBe(95);
  expect(new Set(values(left))).toEqual(new Set(['2']));
});

test('publishes go on while a large partition is compacted', async () => {
  const path = await temporaryFolder();
  await using embedded = await open(path);
  const { broker } = embedded;
  const [topic, other] = [freshTopic(), freshTopic('other')];
  await broker.createTopics([settings(topic, { cleanup: 'compact' }), settings(other)]);
  const value = noise(20_000).toString('latin1');
  for (let round = 0; round < 20; round++) {
    const records = Array.from({ length: 50 }, (_, index) => record(`k${index}`, round + value));
    await broker.publish([to(topic, 0, records)]);
  }
  const state = { done: false };
  const maintained = embedded.maintain().then(() => (state.done = true));
  let published = 0;
  while (!state.done) await broker.publish([to(other, 0, [record('k', `${published++}`)])]);
  await maintained;
  expect(published).toBeGreaterThan(5);
  expect((await readAll(broker, topic)).length).toBe(50);
  expect((await readAll(broker, other)).length).toBe(published);
});

test('settings that change take effect on a topic that exists', async () => {
  const path = await temporaryFolder();
  const topic = freshTopic();
  {
    await using embedded = await open(path);
    await embedded.broker.createTopics([settings(topic)]);
    await embedded.broker.publish([to(topic, 0, [record('k', 'v')])]);
    await embedded.broker.createTopics([settings(topic, { retentionMs: 1000 })]);
  }
  await using embedded = await open(path);
  expect((await embedded.broker.describe()).topics[0]).toMatchObject({ retentionMs: 1000 });
  await embedded.maintain(Date.now() + 5000);
  expect(await readAll(embedded.broker, topic)).toEqual([]);
});

test('age forgets nothing that a reader has yet to do, however old a clock that jumps makes it', async () => {
  await using embedded = await open(await temporaryFolder());
  const { broker } = embedded;
  const topic = freshTopic();
  await broker.createTopics([settings(topic, { retentionMs: 1000 })]);
  const publish = async (value: string): Promise<void> =>
    broker.publish([to(topic, 0, [record('k', value)])]);
  for (const value of ['1', '2', '3']) await publish(value);
  {
    await using reader = member(broker, { group: 'g', topics: [topic] });
    const [batch] = await reader.next();
    await embedded.maintain(Date.now() + 10 * 86_400_000);
    expect(values(await readAll(broker, topic))).toEqual(['1', '2', '3']);
    if (batch === undefined) throw new Error('nothing was delivered');
    await broker.commit([batch.consumed]);
    await embedded.maintain(Date.now() + 10 * 86_400_000);
    expect(await readAll(broker, topic)).toEqual([]);
    await publish('4');
    await embedded.maintain(Date.now() + 10 * 86_400_000);
    expect(values(await readAll(broker, topic))).toEqual(['4']);
  }
  // Nobody reads it any more.
  await embedded.maintain(Date.now() + 10 * 86_400_000);
  expect(await readAll(broker, topic)).toEqual([]);
});
