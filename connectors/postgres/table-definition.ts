import type { PgColumn, PgTable, PgType } from './table.ts';

/** A table as schema-change records tell it. */
export interface TableDefinition {
  readonly primaryKey: readonly string[];
  readonly columns: readonly ColumnDefinition[];
  readonly attributes: readonly (readonly [name: string, value: string])[];
}

export interface ColumnDefinition {
  readonly name: string;
  /** A constant of `java.sql.Types`. */
  readonly jdbcType: number;
  /** Postgres' oid. */
  readonly nativeType: number;
  /** Without its modifier: `numeric`. */
  readonly typeName: string;
  /** With it: `numeric(12,2)`. */
  readonly typeExpression: string;
  /** What was declared: characters, bits, or digits; null if nothing was. */
  readonly length: number | null;
  /** The same of digits behind the point, of a number or of seconds. */
  readonly scale: number | null;
  readonly optional: boolean;
  readonly autoIncremented: boolean;
  readonly default: string | null;
  readonly labels: readonly string[] | null;
}

/** Columns that are kept out of the topics are kept out here, and so is a default that a rule hides. */
export function definitionOf({ columns, key, identity }: PgTable): TableDefinition {
  return {
    primaryKey: key,
    columns: columns
      .filter(({ rule }) => rule?.kind !== 'exclude')
      .map((column) => columnDefinition(column, key.includes(column.name))),
    attributes: [['replicaIdentity', identity]],
  };
}

function columnDefinition(column: PgColumn, isKey: boolean): ColumnDefinition {
  const { name, type, rule } = column;
  const expression = rule === undefined ? (column.default ?? null) : null;
  const typeName = type.name.replace(/\([^)]*\)/, '');
  return {
    name,
    jdbcType: jdbcType(type),
    nativeType: type.oid,
    typeName,
    typeExpression: withModifier(typeName, type),
    ...sizeOf(type),
    optional: column.optional && !isKey,
    autoIncremented: column.identity === true || column.default?.startsWith('nextval(') === true,
    default: expression,
    labels: type.labels,
  };
}

interface Size {
  readonly length: number | null;
  readonly scale: number | null;
}

const NUMERIC = 1700;
/** char(n), varchar(n): the modifier has four bytes for the header of a value. */
const CHARACTERS: ReadonlySet<number> = new Set([1042, 1043]);
const BITS: ReadonlySet<number> = new Set([1560, 1562]);
const TIMES: ReadonlySet<number> = new Set([1083, 1114, 1184, 1266]);

/** From the modifier, which is of the moment of a change; the name may be newer. */
function sizeOf({ oid, modifier, element }: PgType): Size {
  const of = element?.oid ?? oid;
  if (modifier < 0) return { length: null, scale: null };
  if (of === NUMERIC) {
    const declared = modifier - 4;
    // Eleven bits with their sign.
    return { length: (declared >> 16) & 0xffff, scale: ((declared & 0x7ff) ^ 1024) - 1024 };
  }
  if (CHARACTERS.has(of)) return { length: modifier - 4, scale: null };
  if (BITS.has(of)) return { length: modifier, scale: null };
  return { length: null, scale: TIMES.has(of) ? modifier : null };
}

/** As `format_type` prints it. */
function withModifier(typeName: string, type: PgType): string {
  const { length, scale } = sizeOf(type);
  if (length === null && scale === null) return type.modifier < 0 ? typeName : type.name;
  const declared = [length, scale].filter((part) => part !== null).join(',');
  // `timestamp(3) with time zone`, `character varying(50)`, `numeric(12,2)[]`.
  return TIMES.has(type.element?.oid ?? type.oid)
    ? typeName.replace(/^\w+/, `$&(${declared})`)
    : typeName.replace(/(\[\])*$/, `(${declared})$&`);
}

const ARRAY = 2003;
const VARCHAR = 12;
const STRUCT = 2002;
const OTHER = 1111;

/** As Postgres' own JDBC driver has them. */
const JDBC_TYPES: ReadonlyMap<number, number> = new Map([
  [16, -7],
  [17, -2],
  [18, 1],
  [19, VARCHAR],
  [20, -5],
  [21, 5],
  [23, 4],
  [25, VARCHAR],
  [26, -5],
  [142, 2009],
  [700, 7],
  [701, 8],
  [790, 8],
  [1042, 1],
  [1043, VARCHAR],
  [1082, 91],
  [1083, 92],
  [1114, 93],
  [1184, 93],
  [1266, 92],
  [1560, -7],
  [1700, 2],
]);

function jdbcType({ oid, element, labels, fields }: PgType): number {
  if (element !== null) return ARRAY;
  if (labels !== null) return VARCHAR;
  if (fields !== undefined) return STRUCT;
  return JDBC_TYPES.get(oid) ?? OTHER;
}
