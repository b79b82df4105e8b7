import { OutgoingBuffer } from '../../broker/outgoing-buffer.ts';
import type { ChangeBatch } from '../connector.ts';
import type { CataloguedTable } from './catalogue.ts';
import { snapshotEvent, type ChangeEvent } from './change-event.ts';
import type { Connection } from './connection.ts';
import { CopyDecoder } from './copy-binary.ts';
import { copyOut } from './copy-out.ts';
import type { ResolvedOptions } from './options.ts';
import { tellTables } from './schema-changes.ts';
import { ProgressMeter } from './snapshot-progress.ts';
import { lastWithRows, SnapshotMarks } from './snapshot-marks.ts';
import { copyRange, keyRanges, pageRanges, snapshotUnits } from './snapshot-ranges.ts';
import type { SnapshotRange, SnapshotUnit } from './snapshot-ranges.ts';
import { openTableEncoder } from './table-encoder.ts';
import { COMPLETE, formatPosition, type SnapshotState, type WalPosition } from './wal-position.ts';

/**
 * The rows that the tables had before the stream begins, range by range, in one transaction of the
 * server. It may be a later transaction than the one it began with, after a crash; why the tables come
 * out right all the same:
 *
 * - The stream has every commit from the slot's consistent point on, and snapshot rows carry a version
 *   below all of its changes. So a row read too new is overruled by the stream, change by change, until
 *   the stream is as far; a row that is gone by then is deleted by the stream or was never there.
 * - What the stream may lack is an out-of-line value that an update did not touch. It is taken from the
 *   row of that key. If the key moved, from a range that was still to be read into one that was read,
 *   neither snapshot has a row with the value. So a table that has out-of-line values is begun again,
 *   unless its changes carry whole old rows. Nothing is doubled by that: same keys, same versions.
 * - Rows without a key could be doubled: they are published in whole ranges, and the ranges left are
 *   read without the rows that the first snapshot did not see, which the stream has.
 */
export class Snapshot {
  readonly #connection: Connection;
  readonly #options: ResolvedOptions;
  readonly #tables: readonly CataloguedTable[];
  readonly #database: string;
  readonly #buffer = new OutgoingBuffer();
  readonly #event: ChangeEvent;
  /** Just below the rows. */
  readonly #emptied: ChangeEvent;
  readonly #meter: ProgressMeter;
  readonly #resumed: boolean;
  #state: SnapshotState;
  #at: WalPosition;
  /** Tables of which a part was read. */
  readonly #begun = new Set<CataloguedTable>();
  /** Rows in the buffer. */
  #rows = 0;
  #mark: () => Promise<void> = () => Promise.resolve();

  /** The connection is in its transaction already. */
  constructor(
    connection: Connection,
    about: {
      readonly options: ResolvedOptions;
      readonly tables: readonly CataloguedTable[];
      readonly database: string;
      readonly at: WalPosition & { readonly snapshot: SnapshotState };
      readonly resumed: boolean;
    },
  ) {
    this.#connection = connection;
    this.#options = about.options;
    this.#tables = about.tables;
    this.#database = about.database;
    this.#resumed = about.resumed;
    this.#at = about.at;
    this.#state = about.at.snapshot;
    const version = BigInt(`0x${this.#state.version}`);
    this.#event = snapshotEvent(version, Date.now() * 1000);
    this.#emptied = snapshotEvent(version - 1n, Date.now() * 1000);
    this.#meter = new ProgressMeter(
      about.tables.map(({ table, rowsEstimated }) => ({
        table: `${table.schema}.${table.name}`,
        rowsEstimated,
      })),
    );
  }

  async *batches(): AsyncGenerator<ChangeBatch> {
    const units = await snapshotUnits(this.#connection, this.#tables, this.#options.filters);
    if (this.#options.includeSchemaChanges && !this.#resumed) yield await this.#definitions();
    const marks = await this.#openMarks(units);
    this.#mark = () => marks.mark(this.#buffer, (table) => this.#isFinished(units, table));
    for (const unit of units) {
      if (!this.#state.done.includes(unit.name)) yield* this.#unit(unit);
      if (units.findLast(({ of }) => of === unit.of) === unit) this.#meter.finish(tableOf(unit));
    }
    this.#at = { commitLsn: this.#at.commitLsn, ordinal: COMPLETE, snapshot: null };
    await this.#mark();
    yield this.#batch();
    this.#buffer.reset();
  }

  async #openMarks(units: readonly SnapshotUnit[]): Promise<SnapshotMarks> {
    const { registry, prefix } = this.#options;
    const { done, table, after } = this.#state;
    const isBegun = (unit: SnapshotUnit): boolean =>
      done.includes(unit.name) || (table === unit.name && after !== null);
    const begun = units.filter(isBegun).map(({ of }) => of);
    const last = await lastWithRows(this.#connection, units);
    return new SnapshotMarks(registry, prefix, { tables: this.#tables, begun, last });
  }

  #isFinished(units: readonly SnapshotUnit[], table: number): boolean {
    const of = this.#tables[table];
    return units.every((unit) => unit.of !== of || this.#state.done.includes(unit.name));
  }

  /** How the tables are defined, before their first rows. */
  async #definitions(): Promise<ChangeBatch> {
    const buffer = new OutgoingBuffer();
    const context = { ...this.#options, buffer, database: this.#database };
    await tellTables(this.#tables, context, this.#event);
    const position = formatPosition(this.#at);
    return { outgoing: buffer.outgoing(), position, changes: 0, committedAt: null };
  }

  /**
   * Whether a table has rows downstream from before this snapshot, which begins anew. They are truncated
   * before its first row: nobody else would tell of those that were deleted in between.
   */
  #isWritten(unit: SnapshotUnit): boolean {
    return this.#state.emptied.includes(tableOf(unit));
  }

  async *#unit(unit: SnapshotUnit): AsyncGenerator<ChangeBatch> {
    const { table } = unit.of;
    const keyed = table.key.length > 0;
    const encoder = await openTableEncoder(table, {
      ...this.#options,
      buffer: this.#buffer,
      database: this.#database,
    });
    const begun = this.#state.table === unit.name ? this.#state.after : null;
    if (begun === null && !this.#begun.has(unit.of) && this.#isWritten(unit)) {
      encoder.truncate(this.#emptied);
    }
    this.#begun.add(unit.of);
    const after = keyed && begun !== null && (await this.#mustBeginAgain(unit)) ? null : begun;
    const seen = this.#resumed && !keyed ? await this.#seen() : null;
    const ranges = keyed
      ? keyRanges(this.#connection, unit, {
          after,
          rowsPerRange: this.#options.snapshotRowsPerRange,
        })
      : pageRanges(this.#connection, unit, {
          after,
          bytesPerRange: this.#options.batchBytesMax / 2,
        });
    for await (const range of ranges) {
      const decoder = new CopyDecoder(encoder, this.#event);
      const sql = copyRange(unit, range, seen);
      const reads = copyOut(this.#connection, sql, (bytes, start, end) =>
        decoder.push(bytes, start, end),
      );
      let counted = 0;
      const count = (): void => {
        this.#rows += decoder.rows - counted;
        this.#meter.add(tableOf(unit), decoder.rows - counted);
        counted = decoder.rows;
      };
      for await (const _ of reads) {
        count();
        // The position stays at the last whole range: what is published of this one comes again.
        if (keyed && !decoder.ended && this.#full()) yield* this.#flush();
      }
      decoder.finish();
      count();
      this.#reach(unit, range);
      if (this.#full()) yield* this.#flush();
    }
  }

  #full(): boolean {
    const { batchBytesMax, batchRowsMax } = this.#options;
    return this.#rows >= batchRowsMax || this.#buffer.bytes >= batchBytesMax;
  }

  async *#flush(): AsyncGenerator<ChangeBatch> {
    await this.#mark();
    yield this.#batch();
    this.#buffer.reset();
    this.#rows = 0;
    this.#event.processedAt(Date.now());
  }

  #batch(): ChangeBatch {
    this.#options.onProgress?.(this.#meter.progress());
    return {
      outgoing: this.#buffer.outgoing(),
      position: formatPosition(this.#at),
      changes: this.#rows,
      committedAt: null,
    };
  }

  #reach(unit: SnapshotUnit, { until }: SnapshotRange): void {
    const { done } = this.#state;
    this.#state =
      until === null
        ? { ...this.#state, done: [...done, unit.name], table: null, after: null }
        : { ...this.#state, table: unit.name, after: until };
    const { commitLsn, ordinal } = this.#at;
    this.#at = { commitLsn, ordinal: ordinal + 1, snapshot: this.#state };
  }

  async #mustBeginAgain(unit: SnapshotUnit): Promise<boolean> {
    if (unit.of.table.identity === 'full') return false;
    const [row] = await this.#connection.rows<{ outOfLine: boolean | null }>(
      `SELECT bool_or(pg_relation_size(c.reltoastrelid) > 0) AS "outOfLine" FROM pg_class c
       WHERE c.reltoastrelid <> 0 AND (c.oid = $1 OR c.oid IN (SELECT relid FROM pg_partition_tree($1::oid)))`,
      [unit.oid],
    );
    return row?.outOfLine === true;
  }

  /** The condition for a row to have been there when the snapshot began; `xmin` is a 32-bit xid. */
  async #seen(): Promise<string> {
    const [row] = await this.#connection.rows<{ next: string }>(
      'SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next',
    );
    const next = BigInt(row?.next ?? '0');
    const epoch = next - (next & 0xffff_ffffn);
    const xid = 't.xmin::text::bigint';
    const wide = `(${xid} + CASE WHEN ${xid} > ${next - epoch} THEN ${epoch - 0x1_0000_0000n} ELSE ${epoch} END)`;
    return `pg_visible_in_snapshot(greatest(${wide}, 0)::text::xid8, ${quoted(this.#state.seen)}::pg_snapshot)`;
  }
}

function tableOf({ of: { table } }: SnapshotUnit): string {
  return `${table.schema}.${table.name}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
