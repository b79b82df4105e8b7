import type { OutgoingBuffer } from '../../broker/outgoing-buffer.ts';
import type { CataloguedTable } from './catalogue.ts';
import { snapshotEvent } from './change-event.ts';
import type { Connection } from './connection.ts';
import { CopyDecoder } from './copy-binary.ts';
import { lockedTable } from './copy-lock.ts';
import { copyOut } from './copy-out.ts';
import type { ResolvedOptions } from './options.ts';
import { copyRange, wholeUnit } from './snapshot-ranges.ts';
import type { TableCut } from './stream-cuts.ts';
import { tellTables } from './schema-changes.ts';
import { openTableEncoder, type TableEncoder } from './table-encoder.ts';

const WHOLE = { after: null, until: null };

/**
 * Reads a table without a key in one transaction, a little at a time. Its rows cannot replace others, so
 * a truncate comes first and they are as one snapshot sees them; {@link cut} says which changes in the stream that has.
 */
export class KeylessCopy {
  readonly table: string;
  readonly cut: TableCut;
  readonly #connection: Connection;
  readonly #buffer: OutgoingBuffer;
  readonly #decoder: CopyDecoder;
  readonly #reads: AsyncGenerator<void>;
  #told = 0;

  private constructor(
    connection: Connection,
    about: {
      readonly table: string;
      readonly cut: TableCut;
      readonly buffer: OutgoingBuffer;
      readonly decoder: CopyDecoder;
      readonly sql: string;
    },
  ) {
    this.#connection = connection;
    this.table = about.table;
    this.cut = about.cut;
    this.#buffer = about.buffer;
    const decoder = (this.#decoder = about.decoder);
    this.#reads = copyOut(connection, about.sql, (bytes, start, end) =>
      decoder.push(bytes, start, end),
    );
  }

  /**
   * Writes the truncate and stands before the first row; null if the table cannot be locked now. The
   * rows' version lies below `fence`, at which the stream stands still.
   */
  static async begin(
    connection: Connection,
    about: {
      readonly of: CataloguedTable;
      readonly fence: bigint;
      readonly options: ResolvedOptions;
      readonly database: string;
      readonly buffer: OutgoingBuffer;
    },
  ): Promise<KeylessCopy | null> {
    const { fence, options, database, buffer } = about;
    const { schema, name } = about.of.table;
    const table = `${schema}.${name}`;
    const of = await lockedTable(connection, about.of, options);
    if (of === null) return null;
    const [seen] = await connection.rows<{ seen: string; until: string }>(
      `SELECT pg_current_snapshot()::text AS seen,
         to_hex((pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint) AS until`,
    );
    if (seen === undefined) throw new Error('a SELECT returned a row');
    const encoder: TableEncoder = await openTableEncoder(of.table, {
      ...options,
      database,
      buffer,
    });
    const now = Date.now() * 1000;
    const emptied = snapshotEvent(fence - 2n, now, 'incremental');
    if (options.includeSchemaChanges) {
      await tellTables([of], { ...options, database, buffer }, emptied);
    }
    encoder.truncate(emptied);
    return new KeylessCopy(connection, {
      table,
      cut: { oid: of.table.oid, ...seen },
      buffer,
      decoder: new CopyDecoder(encoder, snapshotEvent(fence - 1n, now, 'incremental')),
      sql: copyRange(wholeUnit(of, options.filters), WHOLE, null),
    });
  }

  /** Reads on until one of the bounds is reached. */
  async turn(bounds: {
    readonly rowsMax: number;
    readonly bytesMax: number;
  }): Promise<{ readonly rows: number; readonly ended: boolean }> {
    const decoder = this.#decoder;
    for (;;) {
      const { done: ended = false } = await this.#reads.next();
      const rows = decoder.rows - this.#told;
      const full = rows >= bounds.rowsMax || this.#buffer.bytes >= bounds.bytesMax;
      if (!ended && !full) continue;
      this.#told = decoder.rows;
      if (ended) {
        decoder.finish();
        await this.#connection.rows('COMMIT');
      }
      return { rows, ended };
    }
  }
}
