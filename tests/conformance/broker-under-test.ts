import type { ChildProcess } from 'node:child_process';
import { expect, onTestFinished } from 'vitest';
import {
  offset,
  topicName,
  type Broker,
  type Consumed,
  type RecordBatch,
  type Subscription,
  type TopicName,
  type TopicPartition,
  type TopicSettings,
} from '../../broker/broker.ts';
import { pack, RecordCursor, type PlainRecord, type Segment } from '../../broker/records.ts';

/** What an implementation may not be able to show in a test; each with the reason. */
export type BrokerAbility =
  | 'maintain'
  | 'two at once'
  | 'kill the writer'
  | 'large records'
  | 'exact deliveries';

export interface BrokerFactory {
  /** A broker without topics. Disposing it removes all it made. */
  readonly open: () => Promise<BrokerUnderTest>;
  /** What cannot be shown, and why: those tests are skipped with the reason. */
  readonly cannot?: Partial<Record<BrokerAbility, string>>;
}

export interface BrokerUnderTest extends AsyncDisposable {
  /** The present connection; {@link reopen} replaces it. */
  readonly broker: Broker;
  /** Closes and opens again what is stored, as a restart of the process does. */
  reopen(): Promise<void>;
  /** Does at once what retention and compaction would do at a time (ms). */
  maintain(now: number): Promise<void>;
  /** A second, live connection to what is stored, as another process has. */
  another(): Promise<Broker>;
  /**
   * Starts a process that runs `writeForever` of `broker-writer.ts` on what is stored. If only one
   * may have it open, the present connection is closed; `reopen` follows when the process is dead.
   */
  startWriter(): Promise<ChildProcess>;
}

let topics = 0;

/** Names that no other test uses, also on a broker that keeps its topics. */
export function freshTopic(name = 'topic'): TopicName {
  return topicName('conformance', name, `${Date.now().toString(36)}${topics++}`);
}

export function settings(topic: TopicName, rest: Partial<TopicSettings> = {}): TopicSettings {
  return {
    topic,
    partitions: 1,
    cleanup: 'delete',
    retentionMs: null,
    retentionBytes: null,
    tombstoneRetentionMs: 7 * 24 * 3600 * 1000,
    ...rest,
  };
}

/** A record of text, at the present time. */
export function record(
  key: string | null,
  value: string | null,
  timestamp = Date.now(),
): PlainRecord {
  return {
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    timestamp,
  };
}

export const to = (topic: TopicName, partition: number, records: readonly PlainRecord[]) => ({
  topic,
  partition,
  records: pack(records),
});

export interface Seen {
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
}

export function seenIn(segments: readonly Segment[]): Seen[] {
  const seen: Seen[] = [];
  for (const { base, bytes, count } of segments) {
    const cursor = new RecordCursor(bytes);
    let walked = 0;
    for (; cursor.next(); walked++) {
      const key = cursor.key()?.toString() ?? null;
      const value = cursor.value()?.toString() ?? null;
      seen.push({ offset: base + cursor.delta, key, value });
    }
    expect(walked, 'records in a segment').toBe(count);
  }
  return seen;
}

/** Everything that is in a partition now. */
export async function readAll(
  broker: Broker,
  topic: TopicName,
  { partition = 0, next = 0 }: { partition?: number; next?: number } = {},
): Promise<Seen[]> {
  const seen: Seen[] = [];
  const from = { topic, partition, next: offset(next) };
  for await (const batch of broker.read(from, new AbortController().signal)) {
    const found = seenIn(batch.segments);
    expect(batch.count, 'count of a batch').toBe(found.length);
    seen.push(...found);
  }
  return seen;
}

export const values = (seen: readonly Seen[]): (string | null)[] => seen.map(({ value }) => value);

/** A member of a group that a test drives delivery by delivery. */
export interface TestMember extends AsyncDisposable {
  /** The next delivery. */
  next(): Promise<readonly RecordBatch[]>;
  /** Asks for the next delivery without taking it, so that the member notices what has changed. */
  poll(): void;
  /** Deliveries until so many records have come; more if the last one has more. */
  take(count: number): Promise<RecordBatch[]>;
  leave(): Promise<void>;
  readonly assigned: TopicPartition[];
  readonly revoked: TopicPartition[];
}

/** Joins a group; it leaves when the test ends. */
export function member(broker: Broker, subscription: Subscription): TestMember {
  const ending = new AbortController();
  const assigned: TopicPartition[] = [];
  const revoked: TopicPartition[] = [];
  const subscribed = broker.subscribe(
    {
      ...subscription,
      assigned: async (partitions) => {
        assigned.push(...partitions);
        return (await subscription.assigned?.(partitions)) ?? [];
      },
      revoked: async (partitions) => {
        revoked.push(...partitions);
        await subscription.revoked?.(partitions);
      },
    },
    ending.signal,
  );
  const deliveries = subscribed[Symbol.asyncIterator]();
  let asked: Promise<IteratorResult<readonly RecordBatch[]>> | null = null;
  const ask = () => (asked ??= deliveries.next());
  const next = async (): Promise<readonly RecordBatch[]> => {
    const result = await ask();
    asked = null;
    if (result.done === true) throw new Error('the subscription has ended');
    return result.value;
  };
  const leave = async (): Promise<void> => {
    ending.abort();
    await asked?.catch(() => undefined);
    await deliveries.return?.();
  };
  onTestFinished(leave);
  return {
    assigned,
    revoked,
    next,
    poll: () => void ask().catch(() => undefined),
    async take(count) {
      const batches: RecordBatch[] = [];
      for (let sum = 0; sum < count; sum = total(batches)) batches.push(...(await next()));
      return batches;
    },
    leave,
    [Symbol.asyncDispose]: leave,
  };
}

export const total = (batches: readonly RecordBatch[]): number =>
  batches.reduce((sum, { count }) => sum + count, 0);

export const seenOf = (batches: readonly RecordBatch[]): Seen[] =>
  batches.flatMap(({ segments }) => seenIn(segments));

/** The last `consumed` of each partition. */
export function consumedOf(batches: readonly RecordBatch[]): Consumed[] {
  const last = new Map<string, Consumed>();
  for (const { consumed } of batches) {
    last.set(`${consumed.topic}-${consumed.partition}`, consumed);
  }
  return [...last.values()];
}

/** Runs a test with a broker of its own; skips it loudly where the implementation cannot do it. */
export type BrokerTest = (
  name: string,
  run: (under: BrokerUnderTest) => Promise<void>,
  needs?: BrokerAbility,
) => void;
