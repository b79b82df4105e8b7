import { ByteReader } from '../../schemas/byte-reader.ts';
import type { EnvelopeColumn } from '../../schemas/envelope-reader.ts';
import type { Dialect, Table } from '../dialect.ts';
import type { ColumnChange } from '../evolution.ts';
import type { DuckdbSession } from './session.ts';
import { Stage } from './stage.ts';
import { compileColumn } from './value.ts';

/**
 * Gives the rows that are there the defaults of columns that are new. A source fills a column that it adds
 * with a default without a change of any row, so no event says it; the schema does.
 *
 * Append tables are left alone: the changes in them did not have the column.
 */
export async function fillColumns(
  session: DuckdbSession,
  dialect: Dialect,
  by: {
    readonly table: Table;
    readonly changes: readonly ColumnChange[];
    readonly wanted: readonly EnvelopeColumn[];
  },
): Promise<void> {
  if (by.table.mode === 'append') return;
  const added = by.changes.flatMap((change) => (change.kind === 'add' ? change.column : []));
  const filled = added.flatMap(({ name, type }) => {
    const column = by.wanted.find((candidate) => candidate.name === name);
    return column?.fill ? { name, type, column, fill: column.fill } : [];
  });
  if (filled.length === 0) return;
  const staged: Table = {
    schema: by.table.schema,
    name: `${by.table.name}:defaults`,
    mode: 'merge',
    deletes: 'soft',
    key: [],
    columns: filled,
  };
  await session.run(dialect.createStage(staged, false));
  const stage = new Stage(session, staged, false);
  stage.begin();
  for (const [index, { column, fill, type }] of filled.entries()) {
    const vector = stage.vectors[index];
    if (vector === undefined) throw new Error(`a stage has no place for ${column.name}`);
    const { schema, type: semantic } = column;
    const target = { schema, type: semantic, sqlType: type, vector };
    compileColumn({ ...column, nullBranch: -1 }, target)(new ByteReader().at(fill, 0), 0);
  }
  for (const name of ['_version', '_deleted']) stage.own(name).setNull(0);
  stage.endRow();
  stage.end();
  const names = filled.map(({ name }) => name);
  await session.run(dialect.fillColumns(by.table, names, staged));
}
