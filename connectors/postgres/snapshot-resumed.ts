import { MillraceError } from '../../errors.ts';
import type { Connection } from './connection.ts';
import type { SnapshotUnit } from './snapshot-ranges.ts';

/** The condition for a row to have been there in an earlier snapshot; `xmin` is a 32-bit xid. */
export async function seenCondition(connection: Connection, snapshot: string): Promise<string> {
  const [row] = await connection.rows<{ next: string }>(
    'SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next',
  );
  const next = BigInt(row?.next ?? '0');
  const epoch = next - (next & 0xffff_ffffn);
  const xid = 'xmin::text::bigint';
  const wide = `(${xid} + CASE WHEN ${xid} > ${next - epoch} THEN ${epoch - 0x1_0000_0000n} ELSE ${epoch} END)`;
  const earlier = `'${snapshot.replaceAll("'", "''")}'::pg_snapshot`;
  return `pg_visible_in_snapshot(greatest(${wide}, 0)::text::xid8, ${earlier})`;
}

/** Pages are no bounds any more. */
export function rewritten({ name }: SnapshotUnit): MillraceError {
  return new MillraceError(
    'SOURCE_TABLE_CHANGED',
    'A table without a key was written anew while its snapshot was interrupted.',
    { place: name, expected: 'no TRUNCATE, VACUUM FULL, CLUSTER or rewriting ALTER in between' },
  );
}
