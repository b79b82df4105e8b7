import { expect, test } from 'vitest';
import { topicName } from '../broker.ts';
import { needsCompaction } from './compaction-need.ts';
import type { PartitionLog } from './partition-log.ts';

const MIB = 1024 * 1024;

/** A partition of which everything is new. */
function partition(given: Partial<PartitionLog>): PartitionLog {
  const topic = topicName('t');
  const settings = {
    topic,
    partitions: 1,
    cleanup: 'compact' as const,
    retentionMs: null,
    retentionBytes: null,
    tombstoneRetentionMs: 1,
  };
  const bytes = given.bytes ?? 100 * MIB;
  const all = { bytes, dirtyBytes: bytes, dirtySegments: bytes / MIB, end: 1_000_000 };
  const none = { id: 1, topic, partition: 0, start: 0, cleaned: 0, supersedes: 0 };
  return { ...none, settings, ...all, ...given };
}

test('keys that are all new need no compaction, however many', () => {
  expect(needsCompaction(partition({}))).toBe(false);
  expect(needsCompaction(partition({ bytes: 10_000 * MIB, supersedes: 400_000 }))).toBe(false);
});

test('a partition is compacted when half of it may be superseded, and that is enough', () => {
  expect(needsCompaction(partition({ supersedes: 500_000 }))).toBe(true);
  expect(needsCompaction(partition({ supersedes: 499_000 }))).toBe(false);
  expect(needsCompaction(partition({ supersedes: 1_000_000, bytes: 15 * MIB }))).toBe(false);
  const dirty = { dirtyBytes: 40 * MIB, supersedes: 1_000_000 };
  expect(needsCompaction(partition(dirty))).toBe(false);
});

test('many small segments are merged, whatever is in them', () => {
  const small = { bytes: MIB, dirtyBytes: MIB };
  expect(needsCompaction(partition({ ...small, dirtySegments: 1000 }))).toBe(true);
  expect(needsCompaction(partition({ ...small, dirtySegments: 999 }))).toBe(false);
});

test('a partition that forgets by age is never compacted', () => {
  const { settings, ...rest } = partition({ supersedes: 1_000_000 });
  expect(needsCompaction({ ...rest, settings: { ...settings, cleanup: 'delete' } })).toBe(false);
});
