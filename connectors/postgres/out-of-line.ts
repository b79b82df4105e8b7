import type { CataloguedTable } from './catalogue.ts';
import type { Connection } from './connection.ts';
import type { SnapshotUnit } from './snapshot-ranges.ts';

/** Whether a change may lack a value of a row that lay in a range which was still to be read. */
export async function mustBeginAgain(connection: Connection, unit: SnapshotUnit): Promise<boolean> {
  if (unit.of.table.identity === 'full') return false;
  const [row] = await connection.rows<{ outOfLine: boolean | null }>(
    `SELECT bool_or(pg_relation_size(c.reltoastrelid) > 0) AS "outOfLine" FROM pg_class c
     WHERE c.reltoastrelid <> 0 AND (c.oid = $1 OR c.oid IN (SELECT relid FROM pg_partition_tree($1::oid)))`,
    [unit.oid],
  );
  return row?.outOfLine === true;
}

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
