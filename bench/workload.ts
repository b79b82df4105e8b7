import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { more, type TableKind } from './tables.ts';

/** Changes of a transaction of {@link changeRows}: 60 % inserts, 30 % updates, 10 % deletes. */
const TRANSACTION_CHANGES = 1000;

/** A database, and the kind of table in it that the hops move: `events`, whatever it looks like. */
export interface Source {
  readonly url: string;
  readonly table: TableKind;
}

const definition = (kind: TableKind): string => `
  CREATE TABLE events (
    id bigint PRIMARY KEY,
    customer_id int NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    amount numeric(12,2),
    active boolean NOT NULL,
    created_at timestamptz NOT NULL,
    note text${more[kind].columns.map((column) => `, ${column}`).join('')}
  )`;

const row = (
  kind: TableKind,
): string => `n, (n % 100000)::int, 'Customer ' || n, 'user' || n || '@example.com',
  (n % 1000000)::numeric / 100, n % 2 = 0, timestamptz '2024-01-01' + n * interval '1 second',
  repeat('note ', (n % 15)::int)${more[kind].values.map((value) => `, ${value}`).join('')}`;

export const benchTable = 'public.events';

export async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Makes the table with rows 1 to `rows`. */
export async function createRows({ url, table }: Source, rows: number): Promise<void> {
  await withClient(url, async (client) => {
    await client.query(definition(table));
    await client.query(
      `INSERT INTO events SELECT ${row(table)} FROM generate_series(1, $1::bigint) n`,
      [rows],
    );
    await client.query('VACUUM ANALYZE events');
  });
}

/**
 * Commits `changes` changes in transactions of a thousand, above a table of `rows` rows whose ids
 * begin at 1: new rows at the end, updates and deletes spread over what was there.
 */
export async function changeRows(
  { url, table }: Source,
  rows: number,
  changes: number,
): Promise<number> {
  return await withClient(url, async (client) => {
    let done = 0;
    let last = rows;
    for (let transaction = 0; done < changes; transaction++) {
      const size = Math.min(TRANSACTION_CHANGES, changes - done);
      const [updates, deletes] = [Math.floor(size * 0.3), Math.floor(size * 0.1)];
      const inserts = size - updates - deletes;
      const from = Math.floor((transaction * 7919 * TRANSACTION_CHANGES) % Math.max(1, rows));
      await client.query('BEGIN');
      const results = [
        await client.query(
          `INSERT INTO events SELECT ${row(table)} FROM generate_series($1::bigint, $2::bigint) n`,
          [last + 1, last + inserts],
        ),
        await client.query(
          `UPDATE events SET amount = amount + 1, note = 'changed ' || $2::bigint
           WHERE id IN (SELECT id FROM events WHERE id > $1::bigint ORDER BY id LIMIT $2::bigint)`,
          [from, updates],
        ),
        await client.query(
          `DELETE FROM events
           WHERE id IN (SELECT id FROM events WHERE id > $1::bigint ORDER BY id LIMIT $2::bigint)`,
          [from + updates, deletes],
        ),
      ];
      await client.query('COMMIT');
      last += inserts;
      const changed = results.reduce((sum, { rowCount }) => sum + (rowCount ?? 0), 0);
      if (changed === 0) throw new Error('the workload changed nothing');
      done += changed;
    }
    return done;
  });
}

export async function insertRow(client: Client, table: TableKind, id: number): Promise<void> {
  const values = `SELECT ${row(table)} FROM (VALUES ($1::bigint)) AS v(n)`;
  await client.query(`INSERT INTO events ${values}`, [id]);
}

/** The highest id, which is how many rows have ever been. */
export async function lastId(url: string): Promise<number> {
  return await withClient(url, async (client) => {
    const { rows } = await client.query<{ last: string }>('SELECT max(id) AS last FROM events');
    return Number(rows[0]?.last ?? 0);
  });
}

/** Drops a replication slot as soon as nobody reads it. */
export async function dropSlot(url: string, slot: string): Promise<void> {
  const idle = 'FROM pg_replication_slots WHERE slot_name = $1 AND NOT active';
  await withClient(url, async (client) => {
    for (let left = 500; left > 0; left--) {
      const { rowCount } = await client.query(
        `SELECT pg_drop_replication_slot(slot_name) ${idle}`,
        [slot],
      );
      if (rowCount === 1) return;
      await sleep(10);
    }
    throw new Error(`the slot ${slot} is still in use, or was never made`);
  });
}
