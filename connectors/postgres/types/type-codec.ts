import type { ByteWriter } from '../../../schemas/byte-writer.ts';
import type { SemanticType } from '../../../schemas/semantic.ts';
import { MillraceError } from '../../../errors.ts';

/** Where a value lies: `bytes[start, end)`. One is reused for every value of a stream. */
export interface Cell {
  bytes: Buffer;
  start: number;
  end: number;
}

/** How far what a codec wrote is the value. */
export const EXACTNESS = {
  exact: 0,
  /** It stands for the value, but other values are written alike: an interval as one number. */
  approximate: 1,
  /** It is no value: where null is allowed, null is written in its place. */
  placeholder: 2,
  /** It is no value either, but only this value is written so: it still tells keys apart. */
  uniquePlaceholder: 3,
} as const;
export type Exactness = (typeof EXACTNESS)[keyof typeof EXACTNESS];

/**
 * What the codec that was called last could not say in its semantic type. Whoever calls a codec looks
 * here afterwards and sets `exactness` back; ordinary values leave it alone.
 */
export const inexact: { exactness: Exactness; text: string } = {
  exactness: EXACTNESS.exact,
  /** The value as Postgres prints it. */
  text: '',
};

export function sayInexact(exactness: Exactness, text: string): void {
  inexact.exactness = exactness;
  inexact.text = text;
}

/**
 * Turns values of one Postgres type into Avro, from both forms in which the server sends them. The two
 * give the same bytes for the same value.
 *
 * A value that the semantic type cannot carry is told in {@link inexact}. Both throw
 * `PROTOCOL_UNEXPECTED` for bytes that are no value of the type. They name no value; the caller adds
 * table and column.
 */
export interface TypeCodec {
  readonly semantic: SemanticType;
  /** What the type's `send` function wrote. */
  binary(cell: Cell, out: ByteWriter): void;
  /** What the type's output function wrote, under {@link TEXT_SETTINGS}. */
  text(cell: Cell, out: ByteWriter): void;
}

/**
 * Settings of the session that text values are read under. Other values of them are refused when a
 * value shows it, never misread.
 */
export const TEXT_SETTINGS = {
  client_encoding: 'UTF8',
  DateStyle: 'ISO, YMD',
  TimeZone: 'UTC',
  IntervalStyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  lc_monetary: 'C',
} as const;

export function unsupported(what: string): MillraceError {
  return new MillraceError('VALUE_UNSUPPORTED', what);
}

export function malformed(expected: string): MillraceError {
  return new MillraceError('PROTOCOL_UNEXPECTED', 'The server sent a value that cannot be read.', {
    expected,
  });
}

/** Big-endian, signed. A quarter of the price of `readInt32BE`, which checks what we have checked. */
export function int32At(bytes: Buffer, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  );
}

export function int16At(bytes: Buffer, at: number): number {
  return (((bytes[at] as number) << 24) >> 16) | (bytes[at + 1] as number);
}

export function expectSize(cell: Cell, size: number): void {
  if (cell.end - cell.start !== size) throw malformed(`a binary value of ${size} bytes`);
}

/** The value's text form, as text. */
export function utf8Of(cell: Cell): string {
  return cell.bytes.toString('utf8', cell.start, cell.end);
}

/** For messages of a few bytes; not for hot paths. */
export function textOf(cell: Cell): string {
  return cell.bytes.toString('latin1', cell.start, cell.end);
}
