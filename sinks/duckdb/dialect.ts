import { identifier as id } from '../sql.ts';
import {
  ownColumns,
  stagedOwnColumns,
  type Column,
  type Dialect,
  type OwnColumn,
  type Table,
} from '../dialect.ts';
import { duckdbType, widestType } from './column-type.ts';

/** Everything of ours that is not a user's table. */
export const OWN_SCHEMA = '_millrace';

const OWN_TYPES: Readonly<Record<OwnColumn, string>> = {
  _version: 'BIGINT',
  _deleted: 'BOOLEAN',
  _op: 'VARCHAR',
  _source_ts: 'TIMESTAMP WITH TIME ZONE',
  _event_id: 'VARCHAR',
  _unchanged: 'JSON',
  _cells: 'BIGINT[]',
  _deleted_at: 'BIGINT',
};

export function stageColumns(table: Table, partial: boolean): readonly Column[] {
  return [...table.columns, ...stagedOwnColumns(table, partial).map(own)];
}

export function stageName(table: Named): string {
  return `stage:${table.schema}.${table.name}`;
}

/**
 * DuckDB's SQL for the apply algorithm. There is no primary key and no MERGE: both were measured slower
 * than deleting and inserting without an index.
 */
export function duckdbDialect(catalog: string): Dialect {
  const names = qualified(catalog);
  return {
    typeOf: duckdbType,
    widest: widestType,
    ...definitions(catalog, names),
    ...guards(names),
    ...changes(names),
  };
}

type Named = Pick<Table, 'schema' | 'name'>;

/** Qualified names of a table, of the stage of its batches, and of what remembers its deleted keys. */
interface Names {
  readonly target: (table: Named) => string;
  readonly stage: (table: Named) => string;
  readonly graves: (table: Named) => string;
}

/** With the catalogue, because a file named like a schema makes two-part names ambiguous. */
function qualified(catalog: string): Names {
  const name = (schema: string, table: string): string =>
    `${id(catalog)}.${id(schema)}.${id(table)}`;
  return {
    target: (table) => name(table.schema, table.name),
    stage: (table) => `temp.main.${id(stageName(table))}`,
    graves: (table) => name(OWN_SCHEMA, gravesName(table)),
  };
}

function gravesName({ schema, name }: Named): string {
  return `tombstones:${schema}.${name}`;
}

type Definitions =
  | 'createTable'
  | 'addColumn'
  | 'alterType'
  | 'dropTable'
  | 'renameTable'
  | 'fillColumns'
  | 'clearColumn'
  | 'createStage';

function definitions(
  catalog: string,
  { target, stage, graves }: Names,
): Pick<Dialect, Definitions> {
  return {
    createTable(table) {
      const columns = define([...table.columns, ...ownColumns(table).map(own)]);
      const create = [
        `CREATE SCHEMA IF NOT EXISTS ${id(catalog)}.${id(table.schema)}`,
        `CREATE TABLE ${target(table)} (${columns})`,
      ];
      if (remembersDeletes(table)) {
        const key = table.columns.filter(({ name }) => table.key.includes(name));
        const remembered = define([...key, own('_version'), own('_deleted_at')]);
        create.push(`CREATE OR REPLACE TABLE ${graves(table)} (${remembered})`);
      }
      return create.join(';\n');
    },
    addColumn: (table, column) => `ALTER TABLE ${target(table)} ADD COLUMN ${define([column])}`,
    alterType(table, { name, type }) {
      const tables =
        remembersDeletes(table) && table.key.includes(name)
          ? [target(table), graves(table)]
          : [target(table)];
      return tables
        .map((of) => `ALTER TABLE ${of} ALTER COLUMN ${id(name)} SET DATA TYPE ${type}`)
        .join(';\n');
    },
    dropTable: (table) =>
      `DROP TABLE IF EXISTS ${target(table)}; DROP TABLE IF EXISTS ${graves(table)}`,
    renameTable(table, name) {
      const rename = [`ALTER TABLE ${target(table)} RENAME TO ${id(name)}`];
      if (remembersDeletes(table)) {
        rename.push(`ALTER TABLE ${graves(table)} RENAME TO ${id(gravesName({ ...table, name }))}`);
      }
      return rename.join(';\n');
    },
    fillColumns(table, names, staged) {
      const set = names.map((name) => `${id(name)} = s.${id(name)}`);
      return `UPDATE ${target(table)} SET ${set.join(', ')} FROM ${stage(staged)} AS s`;
    },
    clearColumn: (table, name) => `UPDATE ${target(table)} SET ${id(name)} = NULL`,
    createStage: (table, partial) =>
      `CREATE OR REPLACE TEMP TABLE ${id(stageName(table))} (${define(stageColumns(table, partial))})`,
  };
}

type Guards = 'highest' | 'dropStale' | 'dropBuried' | 'fillUnchanged';

function guards({ target, stage, graves }: Names): Pick<Dialect, Guards> {
  return {
    highest(table, columns) {
      const tables = remembersDeletes(table) ? [target(table), graves(table)] : [target(table)];
      const maxima = columns.map((name, at) => `max(${id(name)}) AS c${at}`).join(', ');
      const each = tables.map((from) => `SELECT ${maxima} FROM ${from}`).join(' UNION ALL ');
      return `SELECT ${columns.map((_, at) => `max(c${at})`).join(', ')} FROM (${each})`;
    },
    dropStale: (table) =>
      `DELETE FROM ${stage(table)} AS s USING ${target(table)} AS t` +
      ` WHERE ${sameKey(table, 't')} AND t."_version" >= s."_version"`,
    dropBuried: (table) =>
      `DELETE FROM ${stage(table)} AS s USING ${graves(table)} AS g` +
      ` WHERE ${sameKey(table, 'g')} AND g."_version" >= s."_version"`,
    fillUnchanged(table) {
      const set = table.columns.flatMap(({ name }, index) =>
        table.key.includes(name)
          ? []
          : `${id(name)} = CASE WHEN s."_cells"[${index + 1}] <= t."_version"` +
            ` THEN t.${id(name)} ELSE s.${id(name)} END`,
      );
      if (set.length === 0) return 'SELECT 0';
      return (
        `UPDATE ${stage(table)} AS s SET ${set.join(', ')} FROM ${target(table)} AS t` +
        ` WHERE ${sameKey(table, 't')} AND s."_cells" IS NOT NULL`
      );
    },
  };
}

type Changes =
  | 'deleteStagedKeys'
  | 'insertStaged'
  | 'bury'
  | 'appendStaged'
  | 'truncate'
  | 'exhume';

function changes({ target, stage, graves }: Names): Pick<Dialect, Changes> {
  const insert = (table: Table, where: string): string => {
    const columns = list([...table.columns.map(({ name }) => name), ...ownColumns(table)]);
    return `INSERT INTO ${target(table)} (${columns}) SELECT ${columns} FROM ${stage(table)}${where}`;
  };
  return {
    deleteStagedKeys: (table) =>
      `DELETE FROM ${target(table)} AS t USING ${stage(table)} AS s WHERE ${sameKey(table, 't')}`,
    insertStaged: (table) => insert(table, remembersDeletes(table) ? ' WHERE NOT "_deleted"' : ''),
    bury(table, now) {
      const key = list(table.key);
      return (
        `INSERT INTO ${graves(table)} (${key}, "_version", "_deleted_at")` +
        ` SELECT ${key}, "_version", ${now} FROM ${stage(table)} WHERE "_deleted"`
      );
    },
    appendStaged: (table) => insert(table, ''),
    truncate: (table, version) =>
      table.deletes === 'soft'
        ? `UPDATE ${target(table)} SET "_deleted" = true WHERE "_version" < ${version} AND NOT "_deleted"`
        : `DELETE FROM ${target(table)} WHERE "_version" < ${version}`,
    exhume: (table, before) => `DELETE FROM ${graves(table)} WHERE "_deleted_at" < ${before}`,
  };
}

function remembersDeletes(table: Table): boolean {
  return table.mode === 'merge' && table.deletes === 'hard';
}

/** Key columns may hold NULL where the key is a unique index of nullable columns. */
function sameKey(table: Table, left: string): string {
  return table.key
    .map((name) => `${left}.${id(name)} IS NOT DISTINCT FROM s.${id(name)}`)
    .join(' AND ');
}

function own(name: OwnColumn): Column {
  return { name, type: OWN_TYPES[name] };
}

function define(columns: readonly Column[]): string {
  return columns.map(({ name, type }) => `${id(name)} ${type}`).join(', ');
}

function list(columns: readonly string[]): string {
  return columns.map((name) => id(name)).join(', ');
}
