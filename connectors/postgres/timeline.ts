import { MillraceError } from '../../errors.ts';
import type { Connection } from './connection.ts';
import { formatLsn, parseLsn } from './lsn.ts';
import { flushLsn, type WalPosition } from './wal-position.ts';

/** The branch of history that a server writes: a standby that is promoted begins a new one. */
export interface Timeline {
  readonly id: number;
  /** How far its log is on disk. */
  readonly end: bigint;
}

/** On a replication connection (PostgreSQL, "Streaming Replication Protocol", IDENTIFY_SYSTEM). */
export async function currentTimeline(connection: Connection): Promise<Timeline> {
  const [row] = await connection.rows<{ timeline: number | string; xlogpos: string }>(
    'IDENTIFY_SYSTEM',
  );
  if (row === undefined) throw unexpected('IDENTIFY_SYSTEM returned no row.');
  return { id: Number(row.timeline), end: parseLsn(row.xlogpos) };
}

/**
 * Whether the server has all that was published: its history must hold the position. A standby that was
 * promoted before it had received everything does not, and what it has written since stands at places
 * that we have passed: the slot would leave it out. Answers with the timeline to go on in; throws
 * `POSITION_AHEAD`.
 */
export async function checkedTimeline(connection: Connection, at: WalPosition): Promise<number> {
  const { id, end } = await currentTimeline(connection);
  const reached = flushLsn(at);
  if (reached > end) throw ahead(reached, end, id);
  if (at.timeline === undefined || at.timeline === id) return id;
  const left = leavingPoint(await historyOf(connection, id), at.timeline);
  if (left === null || reached > left) throw ahead(reached, left, id);
  return id;
}

async function historyOf(connection: Connection, id: number): Promise<string> {
  const [row] = await connection.rows<{ content: Buffer | string }>(`TIMELINE_HISTORY ${id}`);
  if (row === undefined) throw unexpected('TIMELINE_HISTORY returned no row.');
  return row.content.toString();
}

/**
 * Where a timeline was left on the way to the one whose history this is; null if it is not on the way.
 * Each line is a timeline, the place where it was left, and why (PostgreSQL, "Continuous Archiving").
 */
export function leavingPoint(history: string, timeline: number): bigint | null {
  for (const line of history.split('\n')) {
    const [, id, lsn] = /^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/i.exec(line) ?? [];
    if (lsn !== undefined && Number(id) === timeline) return parseLsn(lsn);
  }
  return null;
}

function ahead(reached: bigint, end: bigint | null, timeline: number): MillraceError {
  return new MillraceError(
    'POSITION_AHEAD',
    'Changes were published that the server does not have: it was promoted, or restored, without them.',
    {
      place: `published until ${formatLsn(reached)}`,
      expected:
        end === null
          ? `a history of timeline ${timeline} that has the one they were read from`
          : `a log that is the same until there; it is until ${formatLsn(end)} (timeline ${timeline})`,
      remedy: `Let the server's log pass that place (SELECT pg_switch_wal(); until pg_current_wal_lsn() is above ${formatLsn(reached)}): what is copied must be newer than what it replaces. Then take a new snapshot with \`millrace run --resnapshot\`.`,
    },
  );
}

function unexpected(message: string): MillraceError {
  return new MillraceError('PROTOCOL_UNEXPECTED', message);
}
