import { MillraceError } from '../../errors.ts';
import { position, type Position } from '../connector.ts';
import type { TableCut } from './stream-cuts.ts';

/**
 * A position of this connector:
 *
 * ```
 *   000000000193f2a8.ffffffff@00000001     all of the transaction that commits at this LSN
 *   000000000193f2a8.00000005@00000001     its first five changes; the timeline is 1
 *   000000000193f2a7.00000002@00000001;snapshot={…}       before the stream: the snapshot's second step
 *   000000000193f2a8.ffffffff@00000001;copies=0000002a{…} tables are copied; this is the 42nd step
 * ```
 *
 * Fixed width, so that the order of the text is the order of commits. The stream of a slot starts with
 * the first commit at or after its consistent point; the snapshot holds everything before, so while it
 * is read the position stands just before that point, counting its steps where a transaction has
 * its ordinal, and ends on `ffffffff`: complete.
 */
export interface WalPosition {
  readonly commitLsn: bigint;
  readonly ordinal: number;
  /** Present while the snapshot is unfinished. */
  readonly snapshot: SnapshotState | null;
  /** Present while tables are copied beside the stream. */
  readonly copies?: CopiesState | null;
  /** The branch of the server's history that it lies in; absent if that was not noted. */
  readonly timeline?: number;
}

/** A table that is copied beside the stream, as its progress is kept in the position. */
export interface CopyJob {
  /** `schema.table`. */
  readonly table: string;
  readonly where: string | null;
  /** Key columns, as text, of the last row whose range is published; null before the first. */
  readonly after: readonly string[] | null;
  /** The columns that these are values of. */
  readonly by?: string;
  readonly rows: number;
  readonly paused: boolean;
  /** Why it stopped; it goes on from there when it is resumed. */
  readonly failure: string | null;
}

/** Tables that are copied beside the stream. Key values travel in it: it is never logged. */
export interface CopiesState {
  /** Goes up with every change of `jobs`, so that a later position is the greater text. */
  readonly step: number;
  readonly jobs: readonly CopyJob[];
  /** Tables without a key whose rows were read at a place that the stream is not past yet. */
  readonly cuts?: readonly TableCut[];
  /** Tables whose rows were read in ranges, at places that the stream is not past yet. */
  readonly followed?: readonly FollowedTable[];
}

/** Rows of it that move are looked up until the stream is past `until`, an LSN in hex. */
export interface FollowedTable {
  /** `schema.table`. */
  readonly table: string;
  readonly until: string;
}

/** What an unfinished snapshot has published. Key values travel in it: it is never logged. */
export interface SnapshotState {
  /** Version of every snapshot row: the restart LSN of the slot when it was made, in hex. */
  readonly version: string;
  /** `pg_current_snapshot()` under which it began. */
  readonly seen: string;
  /** Tables (of a keyless partitioned table its partitions) that are finished. */
  readonly done: readonly string[];
  /** Those of which a part is finished. */
  readonly open: readonly OpenUnit[];
  /** Tables that had rows downstream when it began, and are still to be truncated there. */
  readonly emptied: readonly string[];
  /** Tables that came while it was interrupted: they are copied beside the stream, when it is finished. */
  readonly added?: readonly string[];
}

/** A table, or partition, that is half done. */
export interface OpenUnit {
  readonly unit: string;
  /** In their order. */
  readonly left: readonly RangeBounds[];
  /** What the bounds are of: the file whose pages they number, or the columns of the key. */
  readonly by: string;
}

/** Rows after one bound up to the next: key columns as text, or the number of a page. Null is open. */
export interface RangeBounds {
  readonly after: readonly string[] | null;
  readonly until: readonly string[] | null;
}

type Copies = Omit<CopiesState, 'step'>;

export const COMPLETE = 0xffff_ffff;

export function formatPosition(at: WalPosition): Position {
  const timeline = at.timeline === undefined ? '' : `@${hex(BigInt(at.timeline), 8)}`;
  const text = `${hex(at.commitLsn, 16)}.${hex(BigInt(at.ordinal), 8)}${timeline}`;
  if (at.snapshot !== null) return position(`${text};snapshot=${JSON.stringify(at.snapshot)}`);
  const { copies } = at;
  if (copies === undefined || copies === null) return position(text);
  const { step, jobs, cuts = [], followed = [] } = copies;
  const state = { jobs, cuts, ...(followed.length === 0 ? {} : { followed }) };
  return position(`${text};copies=${hex(BigInt(step), 8)}${JSON.stringify(state)}`);
}

const FORM =
  /^([0-9a-f]{16})\.([0-9a-f]{8})(?:@([0-9a-f]{8}))?(?:;snapshot=(\{.*\})|;copies=([0-9a-f]{8})(\{.*\}))?$/s;

/** Throws `POSITION_INVALID` if it is not one of ours. */
export function parsePosition(text: Position): WalPosition {
  const found = FORM.exec(text);
  if (found === null) {
    throw new MillraceError('POSITION_INVALID', 'The stored position is not one of Postgres.', {
      expected: '<commit LSN, 16 hex digits>.<ordinal, 8 hex digits>',
    });
  }
  const [, lsn, ordinal, timeline, snapshot, step, copies] = found;
  return {
    commitLsn: BigInt(`0x${lsn}`),
    ordinal: Number.parseInt(ordinal ?? '', 16),
    snapshot: snapshot === undefined ? null : (JSON.parse(snapshot) as SnapshotState),
    ...(timeline === undefined ? {} : { timeline: Number.parseInt(timeline, 16) }),
    ...(step === undefined || copies === undefined
      ? {}
      : { copies: { step: Number.parseInt(step, 16), ...(JSON.parse(copies) as Copies) } }),
  };
}

/**
 * What the server may forget when everything up to here is durable. A slot streams commits whose record
 * starts at or after its confirmed LSN, so one byte past the start of a commit record means "this one is
 * done", and the commit itself means "send it again".
 */
export function flushLsn(at: WalPosition): bigint {
  return at.ordinal === COMPLETE || at.snapshot !== null ? at.commitLsn + 1n : at.commitLsn;
}

function hex(value: bigint, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
