import { INFINITE } from './instant.ts';
import { outside } from './outside.ts';
import type { ReadValue } from './read-value.ts';
import type { FixedVector } from './vector.ts';
import { readWords, wordsBigint, wordsNumber, writeBigWords, writeWords } from './words.ts';

/** The same in milliseconds. */
const INFINITE_MILLIS: ReadonlyMap<bigint, bigint> = new Map([
  [9_223_372_036_825_200_000n, INFINITE],
  [-9_223_372_036_832_400_000n, -INFINITE],
]);

/** 24:00:00 is a time in Postgres and in DuckDB. */
export function timeInto(factor: number, dayLength: number, vector: FixedVector): ReadValue {
  return (reader, row) => {
    const value = reader.long() * factor;
    if (!(value >= 0 && value <= dayLength)) throw outside('a time', 'TIME');
    writeWords(value, vector.i32, row * 2);
  };
}

export function millisInto(vector: FixedVector): ReadValue {
  return (reader, row) => {
    const at = row * 2;
    readWords(reader, vector.i32, at);
    const millis = wordsNumber(vector.i32, at);
    if (Math.abs(millis) < 9e12) return writeWords(millis * 1000, vector.i32, at);
    const exact = wordsBigint(vector.i32, at);
    const infinite = INFINITE_MILLIS.get(exact);
    if (infinite !== undefined) return writeBigWords(infinite, vector.i32, at);
    const micros = exact * 1000n;
    if (micros >= INFINITE || micros <= -INFINITE) throw outside('a timestamp', 'TIMESTAMP');
    writeBigWords(micros, vector.i32, at);
  };
}

/** Micro- or nanoseconds as they are. Infinity is 2^63 - 1 on both sides; less it is -2^63 for Debezium. */
export function microsInto(vector: FixedVector): ReadValue {
  return (reader, row) => {
    const at = row * 2;
    readWords(reader, vector.i32, at);
    if (vector.i32[at + 1] === -0x8000_0000 && vector.i32[at] === 0) vector.i32[at] = 1;
  };
}
