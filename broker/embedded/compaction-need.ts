import type { PartitionLog } from './partition-log.ts';

/** Below this a pass is not worth its while. */
const SUPERSEDED_BYTES_MIN = 16 * 1024 * 1024;
/** So many new segments of less than this on average are merged, whatever is in them. */
const SMALL_SEGMENTS_MIN = 1000;
const SMALL_SEGMENT_BYTES = 16 * 1024;

/**
 * Whether a partition is to be compacted: what is new may supersede half of it, and that is enough; or
 * half of it is new, in many small segments. A snapshot, whose keys are all new, starts no pass.
 */
export function needsCompaction(log: PartitionLog): boolean {
  const { bytes, dirtyBytes, dirtySegments } = log;
  if (log.settings.cleanup !== 'compact' || dirtyBytes * 2 < bytes) return false;
  const areSmall = dirtyBytes < dirtySegments * SMALL_SEGMENT_BYTES;
  if (areSmall && dirtySegments >= SMALL_SEGMENTS_MIN) return true;
  // As many bytes as that number of records has on average in the new part.
  const superseded = (dirtyBytes * log.supersedes) / Math.max(1, log.end - log.cleaned);
  return superseded >= SUPERSEDED_BYTES_MIN && superseded * 2 >= bytes;
}
