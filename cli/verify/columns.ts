import type { Client } from 'pg';
import { rulesOf, type RuleBook } from '../../connectors/postgres/column-rules.ts';
import type { ColumnRule } from '../../connectors/postgres/table.ts';
import { DEFAULT_MODES, type TypeModes } from '../../connectors/postgres/types/modes.ts';
import { canonicalOf, type Canonical } from './canonical.ts';

/** A column that is compared. */
export interface ComparedColumn {
  readonly name: string;
  readonly type: Canonical;
  /** Its place in the primary key from 0, or null. */
  readonly keyPlace: number | null;
  /** What the source does to its values. */
  readonly rule?: Exclude<ColumnRule, { kind: 'exclude' }>;
}

/** What is left out of a comparison: a column, or the whole table if `column` is null. */
export interface NotCompared {
  readonly column: string | null;
  readonly why: string;
}

/** What the source was told to do to columns and values before they reach a topic. */
export interface Forms {
  readonly rules?: RuleBook;
  readonly modes?: TypeModes;
}

export interface TableColumns {
  readonly columns: readonly ComparedColumn[];
  readonly notCompared: readonly NotCompared[];
}

/** A domain is what it is made of, in the end. */
const query = `
  WITH RECURSIVE wanted AS (
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = $2),
  made(attnum, oid, dimensions) AS (
    SELECT attnum, atttypid, attndims::int FROM pg_attribute
    WHERE attrelid = (SELECT oid FROM wanted) AND attnum > 0 AND NOT attisdropped
    UNION ALL SELECT made.attnum, d.typbasetype, d.typndims
    FROM made JOIN pg_type d ON d.oid = made.oid AND d.typtype = 'd')
  SELECT a.attname AS name, t.typname AS type,
         CASE WHEN t.typcategory = 'A' AND t.typname NOT IN ('int2vector', 'oidvector')
           THEN coalesce(base.typname, e.typname) END AS element,
         made.dimensions,
         a.attgenerated <> '' AS generated,
         array_position(k.conkey, a.attnum) - 1 AS place
  FROM pg_attribute a
  JOIN made ON made.attnum = a.attnum
  JOIN pg_type t ON t.oid = made.oid AND t.typtype <> 'd'
  LEFT JOIN pg_type e ON e.oid = t.typelem
  LEFT JOIN pg_type base ON e.typtype = 'd' AND base.oid = e.typbasetype
  LEFT JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'p'
  WHERE a.attrelid = (SELECT oid FROM wanted) AND a.attnum > 0 AND NOT a.attisdropped
  ORDER BY a.attnum`;

interface Row {
  readonly name: string;
  readonly type: string;
  readonly element: string | null;
  readonly dimensions: number;
  readonly generated: boolean;
  readonly place: number | null;
}

/** The columns of a table, and those of which nothing or nothing certain is on its topic. */
export async function columnsOf(
  client: Client,
  table: TableName,
  { rules = {}, modes = DEFAULT_MODES }: Forms = {},
): Promise<TableColumns> {
  const { rows } = await client.query<Row>(query, [table.schema, table.name]);
  const ruled = rulesOf(table, rules);
  const keyless = rows.every(({ place }) => place === null);
  const columns: ComparedColumn[] = [];
  const notCompared: NotCompared[] = [];
  for (const { name, type, element, dimensions, generated, place } of rows) {
    const rule = ruled.get(name);
    const why = generated ? 'it is generated, which is not captured' : whyNot(rule, keyless);
    if (why !== null) notCompared.push({ column: name, why });
    else if (rule === undefined || rule.kind === 'exclude') {
      const canonical = canonicalOf({ name: type, element, dimensions }, modes);
      columns.push({ name, type: canonical, keyPlace: place });
    } else columns.push({ name, type: { kind: 'text' }, keyPlace: place, rule });
  }
  return { columns, notCompared };
}

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** A table named `schema.table`. */
export function tableName(text: string): TableName {
  const dot = text.indexOf('.');
  return { schema: text.slice(0, dot), name: text.slice(dot + 1) };
}

function whyNot(rule: ColumnRule | undefined, keyless: boolean): string | null {
  if (rule?.kind === 'exclude') return 'it is excluded by source.columns';
  // The rows would have to be sorted by what the source does not have.
  if (rule?.kind === 'hash' && keyless) return 'it is hashed, in a table without a primary key';
  return null;
}
