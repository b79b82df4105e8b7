import type { Relation, RelationColumn } from './pgoutput.ts';
import type { PgColumn, PgTable, PgType } from './table.ts';
import { MillraceError } from '../../errors.ts';

/**
 * The table that rows after a Relation message belong to. The message has the names, types and order
 * of that moment; the catalogue may be ahead of it (DDL that is still to come in the stream) and only
 * adds what the message lacks: labels, elements, optionality, the primary key. A column that the
 * catalogue does not know is optional.
 *
 * Throws `SOURCE_TABLE_CHANGED` if the key cannot be told any more.
 */
export function tableOfRelation(relation: Relation, catalogue: PgTable | null): PgTable {
  const known = relation.columns.map((_, index) => counterpart(relation, catalogue, index));
  const key = keyOf(relation, catalogue, known);
  return {
    oid: relation.oid,
    schema: relation.schema,
    name: relation.name,
    columns: relation.columns.map((column, index): PgColumn => {
      const found = known[index] ?? null;
      const required = key.includes(column.name) || found?.optional === false;
      // A default fills rows that are there already: one that is only guessed to be this column's may not.
      const isSame = found?.name === column.name && found.type.oid === column.type;
      return {
        name: column.name,
        type: typeOf(column, found?.type ?? null),
        optional: column.nullable || !required,
        default: isSame ? (found.default ?? null) : null,
        identity: found?.identity ?? false,
      };
    }),
    key,
    identity: relation.identity,
    identityColumns: relation.columns.filter((column) => column.key).map((column) => column.name),
  };
}

/** The same, where some columns were found to be null. */
export function withNulls(relation: Relation, isNull: (index: number) => boolean): Relation {
  const columns = relation.columns.map((column, index) => ({
    ...column,
    nullable: column.nullable || isNull(index),
  }));
  return { ...relation, columns };
}

/** The catalogue's column of that name; else, as renamed since, the one in its place whose name is new. */
function counterpart(
  relation: Relation,
  catalogue: PgTable | null,
  index: number,
): PgColumn | undefined {
  if (catalogue === null) return undefined;
  const name = relation.columns[index]?.name;
  const same = catalogue.columns.find((column) => column.name === name);
  if (same !== undefined || catalogue.columns.length !== relation.columns.length) return same;
  const inPlace = catalogue.columns[index];
  return relation.columns.some((column) => column.name === inPlace?.name) ? undefined : inPlace;
}

function keyOf(
  relation: Relation,
  catalogue: PgTable | null,
  known: readonly (PgColumn | undefined)[],
): string[] {
  const identity = relation.columns.filter((column) => column.key).map((column) => column.name);
  const renamed = (catalogue?.key ?? []).map(
    (name) => relation.columns[known.findIndex((column) => column?.name === name)]?.name,
  );
  const key = renamed.filter((name) => name !== undefined);
  if (relation.identity === 'default') {
    // The identity is the primary key of that moment; the catalogue only knows the order in it.
    const same = key.length === identity.length && identity.every((name) => key.includes(name));
    return same ? key : identity;
  }
  if (key.length === renamed.length) return key;
  throw new MillraceError('SOURCE_TABLE_CHANGED', 'A table lost a column of its primary key.', {
    place: `${relation.schema}.${relation.name}`,
    expected: 'the primary key that the table had when its changes were made',
  });
}

/** The catalogue's type where it is the same; a type that only it can name (a domain's base); else built-in. */
function typeOf(column: RelationColumn, known: PgType | null): PgType {
  const { type: oid, modifier } = column;
  if (known !== null && known.oid === oid) return { ...known, modifier };
  const name = BUILT_IN.get(oid);
  if (name !== undefined) return { oid, modifier, name, labels: null, element: null };
  const item = BUILT_IN_ARRAYS.get(oid);
  if (item !== undefined) {
    const element = typeOf({ ...column, type: item }, null);
    return { oid, modifier, name: `${element.name}[]`, labels: null, element };
  }
  return known ?? { oid, modifier, name: `type ${oid}`, labels: null, element: null };
}

const BUILT_IN: ReadonlyMap<number, string> = new Map([
  [16, 'boolean'],
  [17, 'bytea'],
  [19, 'name'],
  [20, 'bigint'],
  [21, 'smallint'],
  [23, 'integer'],
  [25, 'text'],
  [26, 'oid'],
  [114, 'json'],
  [142, 'xml'],
  [700, 'real'],
  [701, 'double precision'],
  [790, 'money'],
  [869, 'inet'],
  [1042, 'character'],
  [1043, 'character varying'],
  [1082, 'date'],
  [1083, 'time without time zone'],
  [1114, 'timestamp without time zone'],
  [1184, 'timestamp with time zone'],
  [1186, 'interval'],
  [1266, 'time with time zone'],
  [1560, 'bit'],
  [1562, 'bit varying'],
  [1700, 'numeric'],
  [2950, 'uuid'],
  [3802, 'jsonb'],
]);

const BUILT_IN_ARRAYS: ReadonlyMap<number, number> = new Map([
  [199, 114],
  [1000, 16],
  [1001, 17],
  [1003, 19],
  [1005, 21],
  [1007, 23],
  [1009, 25],
  [1014, 1042],
  [1015, 1043],
  [1016, 20],
  [1021, 700],
  [1022, 701],
  [1028, 26],
  [1115, 1114],
  [1182, 1082],
  [1183, 1083],
  [1185, 1184],
  [1231, 1700],
  [2951, 2950],
  [3807, 3802],
]);
