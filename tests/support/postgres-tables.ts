import type { Client } from 'pg';
import type { PgTable, PgType, ReplicaIdentity } from '../../connectors/postgres/table.ts';

/** A table as the catalogue has it now, read plainly: for tests of what is done with it. */
export async function readTable(client: Client, name: string): Promise<PgTable> {
  const { rows } = await client.query(
    `select c.oid, n.nspname, c.relname, c.relreplident,
       (select array_agg(a.attname::text order by k.i) from pg_index x,
          unnest(x.indkey::int[]) with ordinality k(n, i), pg_attribute a
        where x.indrelid = c.oid and x.indisprimary and a.attrelid = c.oid and a.attnum = k.n) key
     from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = $1::regclass`,
    [name],
  );
  const [table] = rows;
  const columns = await client.query(
    `select attname, atttypid, atttypmod, not attnotnull optional from pg_attribute
     where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum`,
    [name],
  );
  const read: { name: string; type: PgType; optional: boolean }[] = [];
  for (const { attname, atttypid, atttypmod, optional } of columns.rows) {
    read.push({ name: attname, type: await readType(client, atttypid, atttypmod), optional });
  }
  const identities: Record<string, ReplicaIdentity> = {
    d: 'default',
    f: 'full',
    i: 'index',
    n: 'nothing',
  };
  return {
    oid: table.oid,
    schema: table.nspname,
    name: table.relname,
    columns: read,
    key: table.key ?? [],
    identity: identities[table.relreplident] ?? 'nothing',
  };
}

async function readType(client: Client, oid: number, modifier: number): Promise<PgType> {
  const { rows } = await client.query(
    `select format_type(oid, $2) as name, typtype, typelem, typcategory, typbasetype, typtypmod,
       (select array_agg(enumlabel::text order by enumsortorder) from pg_enum where enumtypid = t.oid) labels
     from pg_type t where oid = $1`,
    [oid, modifier],
  );
  const [type] = rows;
  if (type.typtype === 'd') return readType(client, type.typbasetype, type.typtypmod);
  const element = type.typcategory === 'A' ? await readType(client, type.typelem, modifier) : null;
  return { oid, modifier, name: type.name, labels: type.labels, element };
}
