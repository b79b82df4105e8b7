import type { Client } from 'pg';
import { cataloguedTable } from '../../connectors/postgres/catalogue.ts';
import type { Connection } from '../../connectors/postgres/connection.ts';
import type { PgTable } from '../../connectors/postgres/table.ts';

/** A table as the catalogue has it now, over a test's own connection. */
export async function readTable(client: Client, name: string): Promise<PgTable> {
  const { rows } = await client.query(`select $1::regclass::oid as oid`, [name]);
  const connection = {
    rows: async (sql: string, values: unknown[] = []) => (await client.query(sql, values)).rows,
  } as unknown as Connection;
  const found = await cataloguedTable(connection, rows[0].oid);
  if (found === null) throw new Error(`${name} is no table`);
  return found.table;
}
