import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { topicName } from '../broker.ts';
import { hostAndPort } from './cluster.ts';
import { readShare, readSubscription, writeShare, writeSubscription } from './group-protocol.ts';
import { byTopic } from './offset-messages.ts';

const { MemberMetadata, MemberAssignment } = createRequire(import.meta.url)(
  'kafkajs/src/consumer/assignerProtocol',
) as Record<'MemberMetadata' | 'MemberAssignment', { decode(bytes: Buffer): unknown }>;

const [one, two] = [topicName('one'), topicName('two')];
const owned = [
  { topic: one, partition: 0 },
  { topic: one, partition: 3 },
  { topic: two, partition: 1 },
];

test('what a member holds comes to the leader as it was said, in a form that others read', () => {
  const bytes = writeSubscription({ topics: [one, two], generation: 7, owned });
  expect(readSubscription(bytes)).toEqual({ topics: new Set([one, two]), generation: 7, owned });
  expect(MemberMetadata.decode(bytes)).toMatchObject({ version: 0, topics: [one, two] });
});

test('what a member gets comes to it as it was shared out, in a form that others read', () => {
  const bytes = writeShare(byTopic(owned));
  expect(readShare(bytes)).toEqual(owned);
  expect(MemberAssignment.decode(bytes)).toMatchObject({ assignment: { one: [0, 3], two: [1] } });
  expect(readShare(Buffer.alloc(0))).toEqual([]);
});

test('an address may be a name, an IPv4 or an IPv6 address', () => {
  expect(hostAndPort('kafka.example.com:9092')).toEqual({ host: 'kafka.example.com', port: 9092 });
  expect(hostAndPort('[::1]:9093')).toEqual({ host: '::1', port: 9093 });
});
