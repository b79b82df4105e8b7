import { MillraceError } from '../../errors.ts';
import type { FixedVector } from './vector.ts';
import { writeBigWords } from './words.ts';

const ISO = /^(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:Z|([+-])(\d\d):(\d\d)(?::(\d\d))?)$/;

/** DuckDB's largest offset, 15:59:59; it stores how far the offset is from it. */
const OFFSET_MAX = 57_599;

/** Writes ISO 8601 text such as `12:34:56.7+05:30` as TIMETZ: microseconds, and 24 bits of offset. */
export function zonedTimeInto(text: string, vector: FixedVector, row: number): void {
  const found = ISO.exec(text);
  if (found === null) {
    throw new MillraceError('RECORD_MALFORMED', 'a time is not ISO 8601 text with an offset');
  }
  const [, hours = '0', minutes = '0', seconds = '0', fraction = '', sign, ...offset] = found;
  const micros =
    ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1_000_000 +
    Number(fraction.padEnd(6, '0'));
  const [offsetHours = '0', offsetMinutes = '0', offsetSeconds = '0'] = offset;
  const east = (Number(offsetHours) * 60 + Number(offsetMinutes)) * 60 + Number(offsetSeconds);
  const stored = OFFSET_MAX - (sign === '-' ? -east : east);
  writeBigWords((BigInt(micros) << 24n) | BigInt(stored), vector.i32, row * 2);
}
