import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseError } from 'pg';
import { MillraceError } from '../../errors.ts';
import { Connection } from './connection.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import { columnSelect } from './copy-binary.ts';
import type { CopyJobs } from './copy-jobs.ts';
import { endOfLog } from './copy-fence.ts';
import { copyOut } from './copy-out.ts';
import { parseLsn } from './lsn.ts';
import { completed, lacking, movedKey, parseMove, valueOf } from './move.ts';
import type { Move, MovedValue } from './move.ts';
import { quoteName, quoteTable } from './server.ts';
import { typeSchemas } from './snapshot-ranges.ts';
import { visibleIn } from './stream-cuts.ts';
import { unexpected, type StreamMessage } from './stream-message.ts';
import type { PgTable } from './table.ts';
import { BINARY, Tuple } from './tuple.ts';

/** How often a transaction is looked for that has committed and is not visible yet. */
const LOOK_MS = 5;
/** Signature, flags and size of the extension, which is empty (PostgreSQL, COPY, "Binary Format"). */
const COPY_HEADER_BYTES = 19;

/** What the server says of a row that is looked up. */
interface Look {
  /** `pg_current_snapshot()`. */
  readonly seen: string;
  /** The end of the log: all that the look sees has committed before. */
  readonly log: string;
  /** Whether the columns are still those that the stream describes. */
  readonly same: boolean;
  /** Where the row lies, and which transaction wrote it; null if there is none of that key. */
  readonly relation: string | null;
  readonly place: string | null;
  readonly writer: string | null;
}

type Values = ReadonlyMap<number, MovedValue>;

/**
 * Looks up what an update leaves out that changes the key of a row. PostgreSQL does not send an out-of-line
 * value that an update does not touch; downstream it is in the row of the old key. If that row lay in a
 * range that was still to be copied, nobody has it: the copy comes too late for the old key and came too
 * early for the new one. So while a table is copied the value is read from the table itself, before the
 * change is written.
 *
 * What is found may be newer than the change, or another row that has moved there since. Then the changes
 * that led there are still to come. Those that lack values are looked up as well: the table is followed
 * until the stream is past all that the look has seen.
 */
export class MovedRows implements AsyncDisposable {
  readonly #settings: ConnectionSettings;
  readonly #jobs: CopyJobs;
  readonly #binary: boolean;
  readonly #signal: AbortSignal;
  readonly #schemas = new Map<number, string>();
  #connection: Connection | null = null;

  constructor(
    about: {
      readonly settings: ConnectionSettings;
      readonly jobs: CopyJobs;
      /** Whether the stream has values in their binary form. */
      readonly binary: boolean;
    },
    signal: AbortSignal,
  ) {
    this.#settings = about.settings;
    this.#jobs = about.jobs;
    this.#binary = about.binary;
    this.#signal = signal;
  }

  /** Whether what moves within the table `schema.table`, in a transaction of that commit, is to be completed. */
  follows(table: string, commitLsn: bigint): boolean {
    return this.#jobs.follows(table, commitLsn);
  }

  /**
   * The update of transaction `xid` with the values that it lacks, if they are still to be had: the row may
   * have moved on or be gone, and the table may have been altered.
   */
  async complete(
    message: StreamMessage,
    { table, xid }: { readonly table: PgTable; readonly xid: number },
  ): Promise<StreamMessage> {
    const move = parseMove(message);
    const connection = (this.#connection ??= await Connection.open(this.#settings, this.#signal));
    const { values, exact, until } = await this.#lookUp(connection, { table, xid, move });
    if (!exact) this.#jobs.follow(`${table.schema}.${table.name}`, until);
    return values === null ? message : completed(move, { values, binary: this.#binary });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection?.destroy();
  }

  async #lookUp(
    connection: Connection,
    about: { readonly table: PgTable; readonly xid: number; readonly move: Move },
  ): Promise<{ values: Values | null; exact: boolean; until: bigint }> {
    const { table, xid, move } = about;
    for (;;) {
      try {
        await connection.rows(await this.#begin(connection, table));
        const look = await this.#look(connection, table, move);
        // A commit is in the log, and so in the stream, before others see it.
        const isVisible = visibleIn(look.seen)(xid);
        const values = isVisible ? await this.#values(connection, { table, move, look }) : null;
        await connection.rows('COMMIT');
        const exact = values !== null && Number(look.writer) === xid;
        if (isVisible) return { values, exact, until: parseLsn(look.log) };
      } catch (error) {
        this.#signal.throwIfAborted();
        if (!isAltered(error)) throw error;
        await connection.rows('ROLLBACK');
        return { values: null, exact: false, until: await endOfLog(connection) };
      }
      await sleep(LOOK_MS, undefined, { signal: this.#signal });
    }
  }

  /** The lock keeps the columns as they are between the look and the reading. */
  async #begin(connection: Connection, table: PgTable): Promise<string> {
    let schemas = this.#schemas.get(table.oid);
    if (schemas === undefined) {
      schemas = await typeSchemas(connection, table);
      this.#schemas.set(table.oid, schemas);
    }
    return `BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
      LOCK TABLE ${quoteTable(table)} IN ACCESS SHARE MODE; SET LOCAL search_path TO ${schemas}`;
  }

  async #look(connection: Connection, table: PgTable, move: Move): Promise<Look> {
    const indexes = lacking(move, table);
    const wanted = table.columns.filter(
      ({ name }, index) => indexes.includes(index) || table.key.includes(name),
    );
    const isKey = table.key.map((name, index) => `t.${quoteName(name)} = $${index + 4}`);
    const [look] = await connection.rows<Look>(
      `SELECT pg_current_snapshot()::text AS seen, pg_current_wal_insert_lsn()::text AS log,
         (SELECT count(*) = cardinality($2::text[]) FROM pg_attribute a
          JOIN unnest($2::text[], $3::text[]) w(name, type)
            ON a.attname = w.name AND a.atttypid::text = w.type
          WHERE a.attrelid = $1 AND NOT a.attisdropped) AS same, found.*
       FROM (VALUES (1)) one LEFT JOIN LATERAL (
         SELECT t.tableoid::text AS relation, t.ctid::text AS place, t.xmin::text AS writer
         FROM ${quoteTable(table)} t WHERE ${isKey.join(' AND ')}) found ON true`,
      [
        table.oid,
        wanted.map(({ name }) => name),
        wanted.map(({ type }) => String(type.oid)),
        ...movedKey(move, table),
      ],
    );
    if (look === undefined) throw new Error('a SELECT returned no row');
    return look;
  }

  /** Null if there is no such row, or its columns have changed. */
  async #values(
    connection: Connection,
    about: { readonly table: PgTable; readonly move: Move; readonly look: Look },
  ): Promise<Values | null> {
    const { table, move, look } = about;
    if (look.relation === null || !look.same) return null;
    const indexes = lacking(move, table);
    const columns = indexes.map((index) =>
      columnSelect(table.columns[index]?.name ?? '', this.#binary),
    );
    const sql = `COPY (SELECT ${columns.join(', ')} FROM ${quoteTable(table)} t
      WHERE t.ctid = '${look.place}' AND t.tableoid = ${look.relation}) TO STDOUT (FORMAT binary)`;
    const pieces: Buffer[] = [];
    const reads = copyOut(connection, sql, (bytes, start, end) =>
      pieces.push(Buffer.from(bytes.subarray(start, end))),
    );
    for await (const _ of reads);
    const bytes = Buffer.concat(pieces);
    const row = new Tuple();
    const range = { start: COPY_HEADER_BYTES, end: bytes.length };
    const kinds = new Uint8Array(indexes.length).fill(BINARY);
    if (row.readCopy(bytes, range, kinds) < 0 || row.count !== indexes.length) {
      throw unexpected('A COPY of one row has none.');
    }
    return new Map(indexes.map((index, at) => [index, valueOf(row, at)]));
  }
}

/** No such table, column, operator; a message, text or number that is not of the type. */
const ALTERED: ReadonlySet<string> = new Set(['42P01', '42703', '42883', '42804', '08P01']);

/** Whether the table is another than the stream describes: it was altered since, or dropped. */
function isAltered(error: unknown): boolean {
  const cause = error instanceof MillraceError ? error.cause : error;
  const state = cause instanceof DatabaseError ? (cause.code ?? '') : '';
  return ALTERED.has(state) || state.startsWith('22');
}
