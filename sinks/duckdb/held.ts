import { offset, type TopicName } from '../../broker/broker.ts';
import type { TableHeld } from '../sink.ts';
import { identifier as id, literal } from '../sql.ts';
import { OWN_SCHEMA } from './dialect.ts';
import type { DuckdbSession } from './session.ts';
import { REBUILT_PREFIX } from './table-notes.ts';

/**
 * What the file holds of each topic of a pipeline. Read on a connection of its own, so that it waits for no
 * write; what a write under way brings is not in it.
 */
export async function tablesHeld(session: DuckdbSession, pipeline: string): Promise<TableHeld[]> {
  const connection = await session.connectToRead();
  const rows = async (sql: string): Promise<readonly (readonly unknown[])[]> =>
    (await connection.runAndReadAll(sql)).getRowsJson();
  const catalog = id(session.catalog);
  const own = `${catalog}.${id(OWN_SCHEMA)}`;
  try {
    await connection.run('BEGIN TRANSACTION READ ONLY');
    const partitions = await rows(
      `SELECT topic, "partition", coalesce(next_offset, 0), changes FROM ${own}."offsets"` +
        ` WHERE pipeline = ${literal(pipeline)} ORDER BY 1, 2`,
    );
    const tables = await rows(
      `SELECT n.topic, t.schema_name, t.table_name, n.mode = 'merge' AND n.deletes = 'soft'` +
        ` FROM ${own}."tables" AS n JOIN duckdb_tables() AS t` +
        " ON n.target = lower(t.schema_name || '.' || t.table_name)" +
        ` WHERE t.database_name = ${literal(session.catalog)} AND n.mode IS NOT NULL` +
        ` AND NOT contains(n.target, ${literal(`.${REBUILT_PREFIX}`)})`,
    );
    const found: TableHeld[] = [];
    for (const [topic, of] of Map.groupBy(partitions, ([topic]) => topic as TopicName)) {
      const table = tables.find(([other]) => other === topic);
      let held = 0;
      if (table !== undefined) {
        const [, schema, name, soft] = table;
        const where = soft === true ? ' WHERE NOT "_deleted"' : '';
        const from = `${catalog}.${id(String(schema))}.${id(String(name))}`;
        const [counted] = await rows(`SELECT count(*) FROM ${from}${where}`);
        held = Number(counted?.[0] ?? 0);
      }
      found.push({
        topic,
        rows: held,
        changes: of.reduce((sum, [, , , changes]) => sum + Number(changes), 0),
        partitions: of.map(([, partition, next]) => ({
          partition: Number(partition),
          next: offset(Number(next)),
        })),
      });
    }
    return found;
  } finally {
    connection.closeSync();
  }
}
