import { MillraceError } from '../../errors.ts';
import type { RecordBatch, Subscription, TopicPartition } from '../broker.ts';
import { Wake } from '../wake.ts';
import type { Assignment, Group, Member } from './group.ts';
import type { PartitionLog } from './partition-log.ts';
import { PartitionReader, type TakeBounds } from './partition-reader.ts';
import type { SegmentTable } from './segment-table.ts';

/** Upper bound of one delivery unless the subscriber names another. */
export const DELIVERY_BYTES_MAX = 4 * 1024 * 1024;
/** How long a member that has paused partitions waits for records of others. */
const PAUSED_MS_MAX = 50;

/** What a subscription needs of the broker. */
export interface SubscriptionSource {
  readonly table: SegmentTable;
  /** Aborts when the broker is closed. */
  readonly closed: AbortSignal;
}

/** A member of a group, from joining to leaving it; see `Broker.subscribe`. */
export async function* deliveries(
  group: Group,
  { subscription, signal, source }: Joining,
): AsyncGenerator<readonly RecordBatch[]> {
  using awaited = new Wake(AbortSignal.any([signal, source.closed]));
  const member: Member = {
    topics: new Set<string>(subscription.topics),
    wake: () => awaited.wake(),
  };
  group.join(member);
  try {
    for (let turn = 0; !signal.aborted; turn++) {
      if (source.closed.aborted) {
        throw new MillraceError('BROKER_CLOSED', 'The broker was closed under a subscription.');
      }
      await takeOver(group, member, { subscription, source });
      if (signal.aborted) return;
      const paused = subscription.paused?.() ?? [];
      const delivery = await next(group, member, {
        turn,
        paused,
        bytesMax: subscription.bytesMax ?? DELIVERY_BYTES_MAX,
        recordsMax: subscription.recordsMax ?? Infinity,
      });
      if (delivery.length === 0) await awaited.woken(paused.length > 0 ? PAUSED_MS_MAX : null);
      if (delivery.length > 0 || (paused.length > 0 && !signal.aborted)) yield delivery;
    }
  } finally {
    group.leave(member);
  }
}

export interface Joining {
  readonly subscription: Subscription;
  readonly signal: AbortSignal;
  readonly source: SubscriptionSource;
}

/** Hands on what the member is to lose, takes what it is to get, and finds where each starts. */
async function takeOver(
  group: Group,
  member: Member,
  { subscription, source }: Omit<Joining, 'signal'>,
): Promise<void> {
  const losing = group.losing(member);
  if (losing.length > 0) {
    await subscription.revoked?.(losing.map(({ log }) => named(log)));
    group.release(losing);
  }
  const claimed = group.claim(member);
  const starts =
    claimed.length === 0 ? [] : await subscription.assigned?.(claimed.map(({ log }) => named(log)));
  for (const assignment of group.heldBy(member)) {
    if (assignment.reader !== null) continue;
    const { log } = assignment;
    // A seek has the last word, also while `assigned` was running.
    const chosen = assignment.sought ? undefined : starts?.find(isOf(log))?.next;
    const next = chosen ?? group.committed.get(log) ?? log.start;
    const who = `group ${group.name}`;
    assignment.reader = new PartitionReader(source.table, log, { next, who });
    // Or a sink that crashed before its commit would seem to be behind until the next record comes.
    if (next > (group.committed.get(log) ?? log.start)) group.committed.set(log, next);
  }
}

const isOf = (log: PartitionLog) => (other: TopicPartition) =>
  other.topic === log.topic && other.partition === log.partition;

interface Wanted {
  readonly turn: number;
  readonly paused: readonly TopicPartition[];
  readonly bytesMax: number;
  readonly recordsMax: number;
}

/** One batch of each partition that has records, shared out fairly; another begins each turn. */
async function next(
  group: Group,
  member: Member,
  { turn, paused, bytesMax, recordsMax }: Wanted,
): Promise<readonly RecordBatch[]> {
  const behind = group
    .heldBy(member)
    .filter(({ log, reader }) => reader?.behind === true && !paused.some(isOf(log)));
  const batches: RecordBatch[] = [];
  let most = bytesMax;
  let records = recordsMax;
  for (let index = 0; index < behind.length && most > 0 && records > 0; index++) {
    const assignment = behind[(index + turn) % behind.length] as Assignment;
    const share = 1 / (behind.length - index);
    const batch = await batchOf(group, assignment, {
      wanted: Math.ceil(most * share),
      most,
      records: Math.ceil(records * share),
      mayCut: batches.length === 0,
      limit: assignment.log.end,
    });
    if (batch === null) continue;
    batches.push(batch);
    most -= batch.bytes;
    records -= batch.count;
  }
  return batches;
}

async function batchOf(
  group: Group,
  assignment: Assignment,
  bounds: TakeBounds,
): Promise<RecordBatch | null> {
  const { log, generation } = assignment;
  const taken = (await assignment.reader?.take(bounds)) ?? null;
  // A seek while we were reading: what was read is not what the group wants next.
  if (taken === null || !group.isCurrent(assignment, generation)) return null;
  const { segments, count, bytes, next } = taken;
  const consumed = { ...named(log), group: group.name, next, generation };
  return { ...named(log), segments, count, bytes, consumed };
}

const named = ({ topic, partition }: PartitionLog) => ({ topic, partition });
