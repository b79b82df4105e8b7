import { ByteWriter } from '../../schemas/byte-writer.ts';
import type { ChangeEvent } from './change-event.ts';
import type { TableEncoder } from './table-encoder.ts';
import type { PgTable } from './table.ts';
import { BINARY, TEXT, Tuple } from './tuple.ts';
import { isBinarySafe } from './types/codec-of.ts';
import { int16At, int32At } from './types/type-codec.ts';
import { MillraceError } from '../../errors.ts';

/** The columns of a table for `COPY (SELECT …) TO STDOUT (FORMAT binary)`; what we know only as text comes as text. */
export function copySelect(table: PgTable): string {
  return table.columns
    .map(({ name, type, rule }) => {
      // It keeps its place in the row, and its values stay on the server.
      if (rule?.kind === 'exclude') return 'NULL';
      return columnSelect(name, isBinarySafe(type));
    })
    .join(', ');
}

/** A column for a binary COPY, in its binary form or as the stream prints it. */
export function columnSelect(name: string, binary: boolean): string {
  const quoted = `"${name.replaceAll('"', '""')}"`;
  // A cast to text may differ (inet gains a mask), and a row of nulls is not the null that IS NULL finds.
  return binary ? quoted : `CASE num_nulls(${quoted}) WHEN 0 THEN format('%s', ${quoted}) END`;
}

/** A buffer for cut rows that grew past this is let go. */
const REST_BYTES_KEPT = 256 * 1024;

/**
 * Reads a binary COPY stream that may be cut anywhere and writes its rows as `read` events.
 *
 * ```
 * signature "PGCOPY\n\377\r\n\0"   i32 flags   i32 size of an extension, extension
 * rows: i16 fields, each i32 length or -1, value
 * i16 -1
 * ```
 *
 * PostgreSQL, COPY, "Binary Format".
 */
export class CopyDecoder {
  readonly #encoder: TableEncoder;
  readonly #event: ChangeEvent;
  readonly #row = new Tuple();
  readonly #kinds: Uint8Array;
  /** A row that has not come to its end yet, however many pieces it takes. */
  readonly #rest = new ByteWriter(REST_BYTES_KEPT);
  readonly #range = { start: 0, end: 0 };
  #begun = false;
  #ended = false;
  #rows = 0;

  constructor(encoder: TableEncoder, event: ChangeEvent) {
    this.#encoder = encoder;
    this.#event = event;
    this.#kinds = Uint8Array.from(encoder.table.columns, ({ type }) =>
      isBinarySafe(type) ? BINARY : TEXT,
    );
  }

  get rows(): number {
    return this.#rows;
  }

  /** Whether the trailer has come: no row follows. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Takes the next piece, `chunk[start, end)`; it may be reused afterwards. */
  push(chunk: Buffer, start = 0, end: number = chunk.length): void {
    const rest = this.#rest;
    if (rest.position === 0) {
      const read = this.#read(chunk, start, end);
      if (read < end) rest.raw(chunk, read, end);
      return;
    }
    rest.raw(chunk, start, end);
    const read = this.#read(rest.bytes, 0, rest.position);
    if (read === 0) return;
    rest.bytes.copyWithin(0, read, rest.position);
    rest.position -= read;
    if (rest.position === 0) rest.reset(REST_BYTES_KEPT);
  }

  /** To be called when the stream has ended: throws if it ended early. */
  finish(): void {
    if (!this.#ended) throw unexpected('A COPY stream ended before its trailer.');
  }

  /** Reads the rows that are whole and answers where they end. */
  #read(bytes: Buffer, start: number, end: number): number {
    const range = this.#range;
    range.start = start;
    range.end = end;
    if (!this.#begun) {
      const size = headerSize(bytes.subarray(start, end));
      if (size < 0) return start;
      this.#begun = true;
      range.start += size;
    }
    while (end - range.start >= 2) {
      if (this.#ended) throw unexpected('A COPY stream goes on after its trailer.');
      if (int16At(bytes, range.start) === -1) {
        this.#ended = true;
        range.start += 2;
        continue;
      }
      const next = this.#row.readCopy(bytes, range, this.#kinds);
      if (next < 0) break;
      if (!this.#encoder.read(this.#row, this.#event)) throw this.#changed();
      this.#rows++;
      range.start = next;
    }
    return range.start;
  }

  #changed(): MillraceError {
    const { schema, name } = this.#encoder.table;
    return new MillraceError('SOURCE_TABLE_CHANGED', 'A column that may not be null is null.', {
      place: `${schema}.${name}`,
      expected: 'the columns that the table had when the snapshot began',
    });
  }
}

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');

/** Size of the header, -1 if there is not all of it yet. */
function headerSize(bytes: Buffer): number {
  if (bytes.length < SIGNATURE.length + 8) return -1;
  if (!bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE)) {
    throw unexpected('A COPY stream does not begin with its signature.');
  }
  // Bits 16 and above change the format; bit 16, the only one known, meant oids in every row.
  if (int32At(bytes, SIGNATURE.length) >>> 16 !== 0) throw unexpected('COPY flags are not known.');
  const size = SIGNATURE.length + 8 + int32At(bytes, SIGNATURE.length + 4);
  return bytes.length < size ? -1 : size;
}

function unexpected(message: string): MillraceError {
  return new MillraceError('PROTOCOL_UNEXPECTED', message);
}
