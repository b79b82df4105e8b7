import { MillraceError } from '../../errors.ts';
import type { FixedVector } from './vector.ts';
import { writeBigWords } from './words.ts';

const ISO =
  /^P(?:([+-]?\d+)Y)?(?:([+-]?\d+)M)?(?:([+-]?\d+)D)?(?:T(?:([+-]?\d+)H)?(?:([+-]?\d+)M)?(?:([+-]?)(\d+)(?:\.(\d{1,6}))?S)?)?$/;

/** Writes ISO 8601 text such as `P1Y2M3DT4H5M6.7S` as DuckDB's months, days and microseconds. */
export function intervalFromIso(text: string, vector: FixedVector, row: number): void {
  if (/^-?infinity$/.test(text)) throw infinite();
  const found = ISO.exec(text);
  if (found === null) throw malformed('ISO 8601');
  const [, years = '0', months = '0', days = '0', hours = '0', minutes = '0'] = found;
  const [sign, seconds = '0', fraction = ''] = found.slice(6);
  const rest = BigInt(seconds) * 1_000_000n + BigInt(fraction.padEnd(6, '0'));
  writeInterval(vector, row, {
    months: Number(years) * 12 + Number(months),
    days: Number(days),
    micros: (BigInt(hours) * 60n + BigInt(minutes)) * 60_000_000n + (sign === '-' ? -rest : rest),
  });
}

const WORDS =
  /^(?:([+-]?\d+) years? ?)?(?:([+-]?\d+) mons? ?)?(?:([+-]?\d+) days? ?)?(?:([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?$/;

/** The same from Postgres' `1 year 2 mons 3 days 04:05:06.7`. */
export function intervalFromText(text: string, vector: FixedVector, row: number): void {
  if (/^-?infinity$/.test(text)) throw infinite();
  const found = WORDS.exec(text);
  if (found === null) throw malformed('as Postgres prints it');
  const [, years = '0', months = '0', days = '0', sign] = found;
  const [hours = '0', minutes = '0', seconds = '0', fraction = ''] = found.slice(5);
  const clock =
    (BigInt(hours) * 3600n + BigInt(minutes) * 60n + BigInt(seconds)) * 1_000_000n +
    BigInt(fraction.padEnd(6, '0'));
  writeInterval(vector, row, {
    months: Number(years) * 12 + Number(months),
    days: Number(days),
    micros: sign === '-' ? -clock : clock,
  });
}

export function writeInterval(
  vector: FixedVector,
  row: number,
  { months, days, micros }: { months: number; days: number; micros: bigint },
): void {
  vector.i32[row * 4] = months;
  vector.i32[row * 4 + 1] = days;
  writeBigWords(micros, vector.i32, row * 4 + 2);
}

const malformed = (form: string): MillraceError =>
  new MillraceError('RECORD_MALFORMED', `an interval is not ${form}`);

const infinite = (): MillraceError =>
  new MillraceError('VALUE_UNSUPPORTED', 'an interval is infinite, which INTERVAL cannot be', {
    remedy: 'Correct the value at the source.',
  });
