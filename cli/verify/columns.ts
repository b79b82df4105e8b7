import type { Client } from 'pg';
import { canonicalOf, type Canonical } from './canonical.ts';

/** A column that is compared. */
export interface ComparedColumn {
  readonly name: string;
  readonly type: Canonical;
  /** Its place in the primary key from 0, or null. */
  readonly keyPlace: number | null;
}

const query = `
  SELECT a.attname AS name,
         coalesce(base.typname, t.typname) AS type,
         CASE WHEN coalesce(base.typcategory, t.typcategory) = 'A'
           AND coalesce(base.typname, t.typname) NOT IN ('int2vector', 'oidvector') THEN e.typname END AS element,
         a.attndims AS dimensions,
         array_position(k.conkey, a.attnum) - 1 AS place
  FROM pg_attribute a
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_type base ON t.typtype = 'd' AND base.oid = t.typbasetype
  LEFT JOIN pg_type e ON e.oid = coalesce(base.typelem, t.typelem)
  LEFT JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'p'
  WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped
  ORDER BY a.attnum`;

/** The columns of a table, named as `schema.table`. */
export async function columnsOf(client: Client, table: string): Promise<ComparedColumn[]> {
  const { rows } = await client.query<{
    name: string;
    type: string;
    element: string | null;
    dimensions: number;
    place: number | null;
  }>(query, [table]);
  return rows.map((row) => ({
    name: row.name,
    type: canonicalOf(row.type, row.element, row.dimensions),
    keyPlace: row.place,
  }));
}
