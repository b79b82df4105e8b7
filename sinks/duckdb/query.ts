import type { DuckDBConnection, DuckDBResultReader } from '@duckdb/node-api';
import { MillraceError } from '../../errors.ts';
import { interruption } from './interruption.ts';
import { firstLine, type DuckdbSession } from './session.ts';

export interface QueryResult {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Values as JSON has them: 64-bit integers, decimals, dates and times as text. */
  readonly rows: readonly (readonly unknown[])[];
  /** There are more rows than `rowsMax`. */
  readonly truncated: boolean;
}

export interface QueryOptions {
  /** Rows returned at most; default 10,000. */
  readonly rowsMax?: number;
  readonly signal?: AbortSignal;
}

/** Of `StatementType` in the bindings: what SELECT, WITH, VALUES, DESCRIBE, SHOW and reading PRAGMAs become. */
const SELECT = 1;

/**
 * Runs one statement that reads, on a connection of its own, in a read-only transaction: it sees what was
 * committed when it began and holds nobody up. Throws `QUERY_FAILED` for anything else, and if DuckDB
 * refuses it.
 */
export async function query(
  session: DuckdbSession,
  sql: string,
  { rowsMax = 10_000, signal }: QueryOptions = {},
): Promise<QueryResult> {
  signal?.throwIfAborted();
  const connection = await session.connectToRead();
  const aborting = interruption(signal, () => connection.interrupt());
  try {
    await connection.run('BEGIN TRANSACTION READ ONLY');
    const statements = await connection.extractStatements(sql);
    if (statements.count !== 1) throw refused(`there are ${statements.count} statements`);
    const statement = await statements.prepare(0);
    if (statement.statementType.valueOf() !== SELECT)
      throw refused('it is not a statement that reads');
    signal?.throwIfAborted();
    const reader = await statement.streamAndReadUntil(rowsMax + 1);
    const types = reader.columnTypes();
    const found = {
      columns: reader.columnNames().map((name, column) => ({ name, type: String(types[column]) })),
      rows: reader.getRowsJson().slice(0, rowsMax),
      truncated: reader.currentRowCount > rowsMax,
    };
    if (!reader.done) await abandon(connection, reader);
    return found;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof MillraceError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new MillraceError('QUERY_FAILED', firstLine(message), { cause: error });
  } finally {
    aborting[Symbol.dispose]();
    connection.closeSync();
  }
}

/** A result that was not read to its end keeps the file open, also after its connection is closed. */
async function abandon(connection: DuckDBConnection, reader: DuckDBResultReader): Promise<void> {
  connection.interrupt();
  await reader.readAll().catch(() => undefined);
}

function refused(why: string): MillraceError {
  return new MillraceError('QUERY_FAILED', `the query was refused: ${why}`, {
    expected: 'a single SELECT, WITH, VALUES, DESCRIBE, SHOW or reading PRAGMA',
  });
}
