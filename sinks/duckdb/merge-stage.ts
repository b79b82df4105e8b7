import type { RecordCursor } from '../../broker/records.ts';
import { MillraceError } from '../../errors.ts';
import { ByteReader } from '../../schemas/byte-reader.ts';
import type { EnvelopeReader } from '../../schemas/envelope-reader.ts';
import { WIRE_HEADER_BYTES } from '../../schemas/registry.ts';
import {
  DELETE,
  exactTexts,
  moveTo,
  placeOf,
  unchangedColumns,
  type Round,
  type Source,
} from '../changes.ts';
import type { ChainLink } from '../collapse.ts';
import type { TopicSchemas } from '../topic-schemas.ts';
import { isAbove, VERSION_MIN, type Version } from '../version.ts';
import type { RowPlan } from './row-plan.ts';
import type { Stage } from './stage.ts';
import type { FixedVector, ListVector } from './vector.ts';

export interface MergeInput {
  readonly sources: readonly Source[];
  readonly schemas: TopicSchemas;
  /** Version of the newest truncate of the table, if there was one. */
  readonly truncated: Version | null;
}

/**
 * Writes the newest change per key of a round into a stage, decoding only those. Returns the newest commit
 * time among them, ms; 0 if there was none.
 */
export function stageRound(stage: Stage, round: Round, input: MergeInput): number {
  return new MergeStaging(stage, round, input).run();
}

class MergeStaging {
  readonly #stage: Stage;
  readonly #round: Round;
  readonly #input: MergeInput;
  readonly #reader = new ByteReader();
  readonly #hard: boolean;
  readonly #version: FixedVector;
  readonly #deleted: FixedVector;
  readonly #cells: ListVector | null;
  readonly #cellsOfRow: Version[];
  readonly #spans: Int32Array;
  #committedAt = 0;

  constructor(stage: Stage, round: Round, input: MergeInput) {
    this.#stage = stage;
    this.#round = round;
    this.#input = input;
    this.#hard = stage.table.deletes === 'hard';
    this.#version = stage.own('_version') as FixedVector;
    this.#deleted = stage.own('_deleted') as FixedVector;
    this.#cells = stage.partial ? (stage.own('_cells') as ListVector) : null;
    this.#cellsOfRow = stage.table.columns.map(() => VERSION_MIN);
    this.#spans = new Int32Array(stage.table.columns.length + 1);
  }

  run(): number {
    const { collapse } = this.#round;
    const { sources, truncated } = this.#input;
    for (let slot = 0; slot < collapse.count; slot++) {
      const source = sources[collapse.sources[slot] as number] as Source;
      const cursor = moveTo(source, collapse.starts[slot] as number, this.#input.schemas);
      const version = { high: collapse.highs[slot] as number, low: collapse.lows[slot] as number };
      // I6: what is older than a truncate is gone with it, however late it comes.
      const gone = truncated !== null && isAbove(truncated.high, truncated.low, version);
      if (gone && this.#hard) continue;
      try {
        this.#row(slot, cursor, gone);
      } catch (error) {
        throw located(error, placeOf(source, cursor));
      }
      const { row } = this.#stage;
      this.#version.i32[row * 2] = version.low;
      this.#version.i32[row * 2 + 1] = version.high;
      this.#stage.endRow();
    }
    return this.#committedAt;
  }

  #row(slot: number, cursor: RecordCursor, gone: boolean): void {
    const chain = this.#round.collapse.chains.get(slot);
    const deleted = cursor.op === DELETE;
    const { row } = this.#stage;
    this.#deleted.u8[row] = deleted || gone ? 1 : 0;
    if (chain !== undefined) return this.#folded(cursor, chain);
    this.#cells?.setNull(row);
    const envelope = cursor.valueLength < 0 ? null : this.#locate(cursor);
    if (deleted && this.#hard) return this.#keyOnly(cursor);
    const start = deleted ? envelope?.beforeStart : envelope?.afterStart;
    const end = deleted ? envelope?.beforeEnd : envelope?.afterEnd;
    if (start === undefined || end === undefined || start < 0) throw noImage();
    const plan = this.#stage.rowPlan(this.#input.schemas, valueSchema(cursor));
    plan.read(this.#reader.at(cursor.bytes, start), row, end);
    const exact = exactTexts(cursor, deleted ? 'before' : 'after');
    if (exact !== null) plan.writeExact(exact, row);
  }

  #keyOnly(cursor: RecordCursor): void {
    this.#key(cursor).setRestNull(this.#stage.row);
  }

  #key(cursor: RecordCursor): RowPlan {
    const plan = this.#stage.keyPlan(this.#input.schemas, this.#round.keySchema);
    const reader = this.#reader.at(cursor.bytes, cursor.keyStart + WIRE_HEADER_BYTES);
    plan.readPart(reader, this.#stage.row, cursor.valueStart);
    const exact = exactTexts(cursor, 'key');
    if (exact !== null) plan.writeExact(exact, this.#stage.row);
    return plan;
  }

  #locate(cursor: RecordCursor): EnvelopeReader {
    const envelope = this.#input.schemas.envelope(valueSchema(cursor));
    const { bytes, valueStart } = cursor;
    envelope.locate(bytes, valueStart + WIRE_HEADER_BYTES, valueStart + cursor.valueLength);
    if (envelope.committedAt > this.#committedAt) this.#committedAt = envelope.committedAt;
    return envelope;
  }

  /**
   * A row that came without all its columns: each column is taken from the newest change of the batch that
   * has it, and remembered with that change's version, so that the table's own value can be put in its
   * place where the stored row is newer than that.
   */
  #folded(newest: RecordCursor, chain: readonly ChainLink[]): void {
    const { row, table, vectors } = this.#stage;
    const cells = this.#cellsOfRow.fill(VERSION_MIN);
    const missing = new Set(table.columns.keys());
    for (const place of this.#key(newest).places) missing.delete(place);

    const links = chain.toSorted((a, b) => b.high - a.high || b.low - a.low);
    for (const link of links) {
      if (missing.size === 0) break;
      const source = this.#input.sources[link.source] as Source;
      const cursor = moveTo(source, link.start, this.#input.schemas);
      for (const place of this.#fold(cursor, missing)) {
        missing.delete(place);
        cells[place] = link;
      }
    }
    for (const place of missing) vectors[place]?.setNull(row);
    this.#writeCells(row);
  }

  /** Reads what a change has of the missing columns into the row, and says which they were. */
  #fold(cursor: RecordCursor, missing: ReadonlySet<number>): number[] {
    const { row, vectors } = this.#stage;
    const deleted = cursor.op === DELETE;
    const known = new Set<number>(missing);
    if (deleted && this.#hard) {
      // Nothing of the row before a delete is in the row after it.
      for (const place of known) vectors[place]?.setNull(row);
      return [...known];
    }
    if (cursor.valueLength < 0) return [];
    const envelope = this.#locate(cursor);
    const start = deleted ? envelope.beforeStart : envelope.afterStart;
    if (start < 0) {
      if (deleted) return [];
      throw noImage();
    }
    const plan = this.#stage.rowPlan(this.#input.schemas, valueSchema(cursor));
    const unsent = new Set(unchangedColumns(cursor));
    envelope.spans(cursor.bytes, start, this.#spans);
    const found = new Set<number>();
    for (const [column, place] of plan.places.entries()) {
      if (!known.has(place)) continue;
      known.delete(place);
      if (unsent.has(plan.names[column] as string)) continue;
      plan.reads[column]?.(this.#reader.at(cursor.bytes, this.#spans[column] as number), row);
      found.add(place);
    }
    const exact = exactTexts(cursor, deleted ? 'before' : 'after');
    if (exact !== null) plan.writeExact(exact, row, found);
    // What is left is not in this change's schema, which is to say NULL.
    for (const place of known) {
      vectors[place]?.setNull(row);
      found.add(place);
    }
    return [...found];
  }

  #writeCells(row: number): void {
    const list = this.#cells;
    if (list === null) throw new Error('a partial row needs a stage with cells');
    const first = list.itemCount;
    for (const { high, low } of this.#cellsOfRow) {
      const at = list.add();
      const words = (list.items as FixedVector).i32;
      words[at * 2] = low;
      words[at * 2 + 1] = high;
    }
    list.end(row, first);
  }
}

export function valueSchema(cursor: RecordCursor): number {
  return cursor.bytes.readUInt32BE(cursor.valueStart + 1);
}

export function noImage(): MillraceError {
  return new MillraceError('RECORD_MALFORMED', 'a change has no image of its row');
}

/** The same error with the record it is about, which the reader of a value does not know. */
export function located(error: unknown, place: string): unknown {
  if (error instanceof RangeError) {
    return new MillraceError('RECORD_MALFORMED', 'a record ends before its fields do', {
      place,
      cause: error,
    });
  }
  if (!(error instanceof MillraceError) || error.place !== undefined) return error;
  const { code, message, expected, remedy } = error;
  return new MillraceError(code, message, {
    place,
    remedy,
    cause: error,
    ...(expected === undefined ? {} : { expected }),
  });
}
