import { int16At, int32At } from './types/type-codec.ts';
import { MillraceError } from '../../errors.ts';

/** How a column came: pgoutput's letters. */
export const NULL = 0x6e;
export const UNCHANGED = 0x75;
export const TEXT = 0x74;
export const BINARY = 0x62;

/** More than Postgres allows in a table (MaxHeapAttributeNumber is 1600). */
const COLUMNS_MAX = 1664;

/**
 * Where the columns of one row lie in a message. It is filled anew for every row, so that reading a
 * row makes no objects.
 */
export class Tuple {
  bytes: Buffer = Buffer.alloc(0);
  count = 0;
  /**
   * False for an old row that has only the columns of the replica identity: there NULL means "not
   * sent", since those columns are never null.
   */
  full = true;
  readonly kinds = new Uint8Array(COLUMNS_MAX);
  readonly starts = new Int32Array(COLUMNS_MAX);
  readonly ends = new Int32Array(COLUMNS_MAX);

  /**
   * Reads pgoutput's TupleData and answers where it ends:
   *
   * ```
   * i16 columns; per column: u8 kind n u t b; for t and b: i32 length, value
   * ```
   */
  readMessage(bytes: Buffer, start: number, end: number): number {
    const { kinds, starts, ends } = this;
    this.bytes = bytes;
    const count = (this.count = int16At(bytes, start));
    if (count > COLUMNS_MAX) throw torn();
    let at = start + 2;
    for (let i = 0; i < count; i++) {
      const kind = (kinds[i] = bytes[at++] as number);
      if (kind === TEXT || kind === BINARY) {
        const size = int32At(bytes, at);
        starts[i] = at + 4;
        at += 4 + size;
        ends[i] = at;
        if (size < 0 || at > end) throw torn();
      } else if (kind !== NULL && kind !== UNCHANGED) throw torn();
    }
    if (at > end) throw torn();
    return at;
  }

  /**
   * Reads a row of binary COPY, `i16 fields; per field: i32 length or -1, value`. Answers where it ends,
   * or -1 if the bytes stop before that. `kindOf` says what the fields that are not null hold.
   */
  readCopy(bytes: Buffer, range: { start: number; end: number }, kindOf: Uint8Array): number {
    const { kinds, starts, ends } = this;
    const { start, end } = range;
    this.bytes = bytes;
    const count = (this.count = int16At(bytes, start));
    let at = start + 2;
    for (let i = 0; i < count; i++) {
      if (at + 4 > end) return -1;
      const size = int32At(bytes, at);
      at += 4;
      kinds[i] = size < 0 ? NULL : (kindOf[i] as number);
      starts[i] = at;
      if (size > 0) at += size;
      ends[i] = at;
    }
    return at > end ? -1 : at;
  }

  /** Whether a column has the very same bytes in another row: then it is the same value. */
  sameBytes(other: Tuple, column: number): boolean {
    if (this.kinds[column] !== other.kinds[column]) return false;
    let at = this.starts[column] as number;
    let from = other.starts[column] as number;
    const end = this.ends[column] as number;
    if (end - at !== (other.ends[column] as number) - from) return false;
    while (at < end) if (this.bytes[at++] !== other.bytes[from++]) return false;
    return true;
  }
}

function torn(): MillraceError {
  return new MillraceError(
    'PROTOCOL_UNEXPECTED',
    'A row in the replication stream cannot be read.',
    {
      expected: 'TupleData as in PostgreSQL, "Logical Replication Message Formats"',
    },
  );
}
