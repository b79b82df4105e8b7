import { MillraceError } from '../../errors.ts';

const malformed = (): MillraceError =>
  new MillraceError('RECORD_MALFORMED', 'a zoned timestamp is not ISO 8601 text with a zone');

/**
 * Microseconds since 1970 of ISO 8601 text with a zone, such as Debezium's ZonedTimestamp has: exact, or
 * an error. Years are astronomical (0 is 1 BC) with a sign where they have not four digits.
 * Throws `VALUE_UNSUPPORTED` for parts of a microsecond, which a TIMESTAMPTZ cannot hold.
 */
export function instantMicros(bytes: Uint8Array, start: number, end: number): number | bigint {
  const digit = (at: number): number => (bytes[at] as number) - 48;
  const pair = (at: number): number => digit(at) * 10 + digit(at + 1);
  // The shape that nearly every value has: YYYY-MM-DDTHH:MM:SS[.ffffff]Z
  if (end - start < 20 || bytes[start + 4] !== DASH || bytes[end - 1] !== ZULU) {
    return unusualMicros(
      Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1'),
    );
  }
  for (const at of SHAPE) if (bytes[start + at[0]] !== at[1]) throw malformed();
  for (const at of DIGITS) if (digit(start + at) >>> 0 > 9) throw malformed();
  let fraction = 0;
  if (end - start > 20) fraction = fractionMicros(bytes, start + 19, end - 1);
  const days = daysOf(pair(start) * 100 + pair(start + 2), pair(start + 5), pair(start + 8));
  const seconds = secondsOf(pair(start + 11), pair(start + 14), pair(start + 17));
  const micros = (days * 86_400 + seconds) * 1e6;
  // Four-digit years reach 2.5e17: past 2^53 the fraction is added exactly.
  return Math.abs(micros) < 9e15
    ? micros + fraction
    : BigInt(days * 86_400 + seconds) * 1_000_000n + BigInt(fraction);
}

const [DASH, COLON, TEE, ZULU, DOT] = [45, 58, 84, 90, 46];
const SHAPE = [
  [7, DASH],
  [10, TEE],
  [13, COLON],
  [16, COLON],
] as const;
const DIGITS = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18];

function fractionMicros(bytes: Uint8Array, dot: number, end: number): number {
  if (bytes[dot] !== DOT || end - dot < 2) throw malformed();
  let micros = 0;
  for (let at = 0; at < 6; at++) {
    const digit = dot + 1 + at < end ? (bytes[dot + 1 + at] as number) - 48 : 0;
    if (digit >>> 0 > 9) throw malformed();
    micros = micros * 10 + digit;
  }
  for (let at = dot + 7; at < end; at++) {
    if (((bytes[at] as number) - 48) >>> 0 > 9) throw malformed();
    if (bytes[at] !== 48) {
      throw new MillraceError('VALUE_UNSUPPORTED', 'a zoned timestamp has parts of a microsecond');
    }
  }
  return micros;
}

const UNUSUAL =
  /^([+-]?\d{4,9})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?(?:Z|([+-])(\d\d):?(\d\d)(?::?(\d\d))?)$/;

function unusualMicros(text: string): bigint {
  if (text === 'infinity') return INFINITE;
  if (text === '-infinity') return -INFINITE;
  const found = UNUSUAL.exec(text);
  if (found === null) throw malformed();
  const [
    ,
    year,
    month,
    day,
    hour,
    minute,
    second = '0',
    fraction,
    sign,
    zoneHour,
    zoneMinute,
    zoneSecond = '0',
  ] = found;
  const zone =
    sign === undefined ? 0 : secondsOf(Number(zoneHour), Number(zoneMinute), Number(zoneSecond));
  const days = daysOf(Number(year), Number(month), Number(day));
  const seconds =
    days * 86_400 +
    secondsOf(Number(hour), Number(minute), Number(second)) -
    (sign === '-' ? -zone : zone);
  const part =
    fraction === undefined ? 0 : fractionMicros(Buffer.from(fraction), 0, fraction.length);
  const micros = BigInt(seconds) * 1_000_000n + BigInt(part);
  if (micros >= INFINITE || micros <= -INFINITE) {
    throw new MillraceError(
      'VALUE_UNSUPPORTED',
      'a zoned timestamp is outside the range of TIMESTAMPTZ',
    );
  }
  return micros;
}

/** DuckDB's TIMESTAMP `infinity`. */
export const INFINITE = 0x7fff_ffff_ffff_ffffn;

function secondsOf(hour: number, minute: number, second: number): number {
  if (hour > 24 || minute > 59 || second > 59) throw malformed();
  return hour * 3600 + minute * 60 + second;
}

/** Days from 1970-01-01 in the proleptic Gregorian calendar (Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
export function daysOf(year: number, month: number, day: number): number {
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) throw malformed();
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra =
    yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function daysIn(year: number, month: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
}
