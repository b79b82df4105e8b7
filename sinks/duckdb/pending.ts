import { topicName } from '../../broker/broker.ts';
import { MillraceError, parksTable } from '../../errors.ts';
import type { TableShape } from '../../schemas/envelope.ts';
import { avroOf } from '../../schemas/semantic.ts';
import { changeText, type PendingChange } from '../evolution.ts';
import { Targets, type TargetOptions } from '../target.ts';
import { versionOf } from '../version.ts';
import { duckdbDialect, OWN_SCHEMA } from './dialect.ts';
import type { DuckdbSession } from './session.ts';
import { Tables } from './tables.ts';

/** Newer than any row. */
const NEWEST = versionOf(2n ** 63n - 1n);

/** Compares a table of the source with the one in the file; null if there is none in it. Changes nothing. */
export async function pendingChange(
  session: DuckdbSession,
  options: TargetOptions,
  shape: TableShape,
): Promise<PendingChange | null> {
  const notes = await session.rows(
    `SELECT 1 FROM duckdb_columns() WHERE schema_name = '${OWN_SCHEMA}'` +
      " AND table_name = 'tables' AND column_name = 'shaped'",
  );
  if (notes.length === 0) return null;
  const tables = new Tables(session, duckdbDialect(session.catalog));
  const target = new Targets(options).of(topicName(shape.topic, 'changes'));
  try {
    const state = await tables.state(target);
    if (state.table === null) return null;
    const mode = shape.key.length === 0 ? 'append' : target.mode;
    const columns = shape.columns.map(({ name, type, optional }) => ({
      name,
      type,
      optional,
      schema: avroOf(type),
      nullBranch: -1,
      fill: null,
    }));
    const key = mode === 'append' ? [] : shape.key;
    const { changes } = tables.ask(state, mode, { columns, key, newest: NEWEST });
    return { changes: changes.map(changeText), refused: null };
  } catch (error) {
    const known = error instanceof MillraceError && error.code === 'SINK_CHANGE_STOPPED';
    if (!parksTable(error) && !known) throw error;
    return { changes: [], refused: { code: error.code, message: error.message } };
  }
}
