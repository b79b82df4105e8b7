import { LETTER } from './pgoutput.ts';
import { unexpected, type StreamMessage } from './stream-message.ts';
import type { PgTable } from './table.ts';
import { BINARY, NULL, TEXT, Tuple, UNCHANGED } from './tuple.ts';

/** An Update message that changes the key of a row, in its parts. */
export interface Move {
  readonly message: StreamMessage;
  readonly old: Tuple;
  readonly row: Tuple;
  /** Where the columns of the new row begin. */
  readonly rowStart: number;
}

/** A value as the stream has it. */
export type MovedValue = Buffer | null;

/** Whether an update comes without a value of the row that is written. */
export function lacksValues(row: Tuple, { columns }: PgTable): boolean {
  for (let index = 0; index < row.count; index++) {
    if (row.kinds[index] === UNCHANGED && columns[index]?.rule?.kind !== 'exclude') return true;
  }
  return false;
}

/** The columns that {@link lacksValues} means, in order. */
export function lacking({ row }: Move, { columns }: PgTable): number[] {
  return columns.flatMap(({ rule }, index) =>
    row.kinds[index] === UNCHANGED && rule?.kind !== 'exclude' ? [index] : [],
  );
}

/** The bytes stay where they are. */
export function parseMove(message: StreamMessage): Move {
  const { bytes, start, end } = message;
  const old = new Tuple();
  const row = new Tuple();
  const rowStart = old.readMessage(bytes, start + 6, end) + 1;
  if (bytes[start] !== LETTER.update || bytes[rowStart - 1] !== LETTER.newRow) {
    throw unexpected('A row that changes its key came in another message than an Update.');
  }
  row.readMessage(bytes, rowStart, end);
  return { message, old, row, rowStart };
}

/** The key columns of the new row, in key order; one that the update left out is in the old row. */
export function movedKey({ row, old }: Move, table: PgTable): (Buffer | string)[] {
  return table.key.map((name) => {
    const index = table.columns.findIndex((column) => column.name === name);
    const from = row.kinds[index] === UNCHANGED ? old : row;
    const value = valueOf(from, index) ?? Buffer.alloc(0);
    return from.kinds[index] === BINARY ? value : value.toString();
  });
}

/** The same update with the values, by column; they come in the form, text or binary, that the stream has. */
export function completed(
  { message, row, rowStart }: Move,
  {
    values,
    binary,
  }: { readonly values: ReadonlyMap<number, MovedValue>; readonly binary: boolean },
): StreamMessage {
  const { bytes, start } = message;
  const parts = [bytes.subarray(start, rowStart + 2)];
  for (let index = 0; index < row.count; index++) {
    const found = values.get(index);
    const kind = row.kinds[index] as number;
    if (found === null) parts.push(Buffer.of(NULL));
    else if (found !== undefined) parts.push(head(binary ? BINARY : TEXT, found.length), found);
    else if (kind === NULL || kind === UNCHANGED) parts.push(Buffer.of(kind));
    else {
      const value = row.bytes.subarray(row.starts[index], row.ends[index]);
      parts.push(head(kind, value.length), value);
    }
  }
  const whole = Buffer.concat(parts);
  return { ...message, bytes: whole, start: 0, end: whole.length };
}

/** Null if it is null; a view otherwise. */
export function valueOf({ bytes, kinds, starts, ends }: Tuple, index: number): MovedValue {
  return kinds[index] === NULL ? null : bytes.subarray(starts[index], ends[index]);
}

function head(kind: number, size: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = kind;
  bytes.writeInt32BE(size, 1);
  return bytes;
}
