import type { CataloguedTable } from './catalogue.ts';
import type { Connection } from './connection.ts';
import { endOfLog } from './copy-fence.ts';
import type { FollowedTable } from './wal-position.ts';

/** Whether a change of the table may come without a value that the row has: then order matters too. */
export async function mayLackValues(connection: Connection, of: CataloguedTable): Promise<boolean> {
  if (of.table.identity === 'full') return false;
  const [row] = await connection.rows<{ outOfLine: boolean | null }>(
    `SELECT bool_or(c.reltoastrelid <> 0) AS "outOfLine" FROM pg_class c
     WHERE c.oid = $1 OR c.oid IN (SELECT relid FROM pg_partition_tree($1::oid))`,
    [of.table.oid],
  );
  return row?.outOfLine === true;
}

/**
 * The tables whose rows are to be followed if they move, when some were read under an earlier snapshot
 * than the one that this connection has: until the stream is past what it sees.
 */
export async function followedTables(
  connection: Connection,
  tables: readonly CataloguedTable[],
): Promise<FollowedTable[]> {
  const until = (await endOfLog(connection)).toString(16);
  const found: FollowedTable[] = [];
  for (const of of tables) {
    const { schema, name, key } = of.table;
    if (key.length === 0 || !(await mayLackValues(connection, of))) continue;
    found.push({ table: `${schema}.${name}`, until });
  }
  return found;
}
