import { int32At, malformed } from './type-codec.ts';
import type { Cell } from './type-codec.ts';

/** Days from 1970-01-01 to Postgres' own zero, 2000-01-01. */
export const EPOCH_DAYS = 10_957;
export const DAY_MICROS = 86_400_000_000;
const EPOCH_MICROS = EPOCH_DAYS * DAY_MICROS;

/**
 * A point of time as a day and the microseconds in it, so that all of Postgres' range (4713 BC to
 * 294276) is exact in numbers. One is reused for every value.
 */
export class Moment {
  /** Since 1970-01-01, proleptic Gregorian, as Postgres and ISO 8601 count. */
  days = 0;
  /** Since midnight. */
  micros = 0;
  /** 1 and -1 for Postgres' `infinity` and `-infinity`, else 0. */
  infinite = 0;

  /** timestamp and timestamptz: microseconds since 2000-01-01, 64 bits. */
  fromBinary({ bytes, start }: Cell): void {
    const high = int32At(bytes, start);
    const low = int32At(bytes, start + 4) >>> 0;
    this.infinite = infinity(high, low);
    if (this.infinite !== 0) return;
    // From 1714 to 2249 the sum stays below 2^53: exact as a number.
    if (high >= -0x20_0000 && high < 0x1c_0000) {
      const since = high * 0x1_0000_0000 + low + EPOCH_MICROS;
      this.days = Math.floor(since / DAY_MICROS);
      this.micros = since - this.days * DAY_MICROS;
      return;
    }
    const since = (BigInt(high) << 32n) + BigInt(low);
    const rest = ((since % 86_400_000_000n) + 86_400_000_000n) % 86_400_000_000n;
    this.days = Number((since - rest) / 86_400_000_000n) + EPOCH_DAYS;
    this.micros = Number(rest);
  }

  /** `2024-02-29 12:34:56.789+05:30 BC`, all but the date optional; `infinity`, `-infinity`. */
  fromText(cell: Cell): void {
    const { bytes, start } = cell;
    this.infinite = 0;
    this.micros = 0;
    let { end } = cell;
    const first = bytes[start];
    if (first === 0x69 || first === 0x2d) {
      if (end - start !== (first === 0x69 ? 8 : 9)) throw notIso();
      this.infinite = first === 0x69 ? 1 : -1;
      return;
    }
    const bc = bytes[end - 1] === 0x43;
    if (bc) end -= 3;
    let at = start;
    while (at < end && bytes[at] !== 0x2d) at++;
    const year = number(bytes, start, at);
    const day = at + 6;
    if (at - start < 4 || bytes[at + 3] !== 0x2d || day > end) throw notIso();
    this.days = daysOf(
      bc ? 1 - year : year,
      number(bytes, at + 1, at + 3),
      number(bytes, at + 4, day),
    );
    if (day === end) return;
    const zone = this.#time(bytes, day + 1, end);
    if (zone < end) this.#shift(bytes, zone, end);
  }

  /** `12:34:56.789`; answers where it ends. */
  #time(bytes: Buffer, start: number, end: number): number {
    if (bytes[start + 2] !== 0x3a || bytes[start + 5] !== 0x3a || start + 8 > end) throw notIso();
    let seconds = number(bytes, start, start + 2) * 3600;
    seconds += number(bytes, start + 3, start + 5) * 60 + number(bytes, start + 6, start + 8);
    let at = start + 8;
    let fraction = 0;
    if (bytes[at] === 0x2e && at < end) {
      let unit = 100_000;
      for (at++; at < end && isDigit(bytes[at]); at++, unit /= 10) {
        fraction += ((bytes[at] as number) - 0x30) * unit;
      }
      if (unit < 0.1) throw notIso();
    }
    this.micros = seconds * 1_000_000 + Math.round(fraction);
    return at;
  }

  /** Takes an offset such as `+05`, `-03:30`, `+00:53:28` off. */
  #shift(bytes: Buffer, start: number, end: number): void {
    const sign = bytes[start] === 0x2b ? 1 : bytes[start] === 0x2d ? -1 : 0;
    if (sign === 0) throw notIso();
    let seconds = number(bytes, start + 1, start + 3) * 3600;
    if (start + 3 < end) seconds += number(bytes, start + 4, start + 6) * 60;
    if (start + 6 < end) seconds += number(bytes, start + 7, start + 9);
    this.micros -= sign * seconds * 1_000_000;
    const days = Math.floor(this.micros / DAY_MICROS);
    this.days += days;
    this.micros -= days * DAY_MICROS;
  }

  /** time: the text form alone. */
  timeFromText({ bytes, start, end }: Cell): void {
    if (this.#time(bytes, start, end) !== end) throw notIso();
  }
}

function infinity(high: number, low: number): number {
  if (high === 0x7fff_ffff && low === 0xffff_ffff) return 1;
  return high === -0x8000_0000 && low === 0 ? -1 : 0;
}

function isDigit(letter: number | undefined): boolean {
  return letter !== undefined && letter >= 0x30 && letter <= 0x39;
}

function number(bytes: Buffer, start: number, end: number): number {
  let value = 0;
  for (let at = start; at < end; at++) {
    if (!isDigit(bytes[at])) throw notIso();
    value = value * 10 + (bytes[at] as number) - 0x30;
  }
  return value;
}

function notIso(): Error {
  return malformed('date and time as ISO 8601 (DateStyle = ISO)');
}

/**
 * Days from 1970-01-01 to a date of the proleptic Gregorian calendar; year 0 is 1 BC. Howard Hinnant,
 * "chrono-compatible low-level date algorithms", days_from_civil.
 */
export function daysOf(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const century = Math.floor(yearOfEra / 100);
  return (
    era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - century + dayOfYear - 719_468
  );
}

/** The date of a day; the inverse of {@link daysOf} (civil_from_days). One is reused. */
export class CivilDate {
  year = 0;
  month = 0;
  day = 0;
  #days = NaN;

  fromDays(days: number): void {
    // Neighbours in a stream mostly share their day.
    if (days === this.#days) return;
    this.#days = days;
    const shifted = days + 719_468;
    const era = Math.floor(shifted / 146_097);
    const dayOfEra = shifted - era * 146_097;
    const yearOfEra =
      ((dayOfEra -
        ((dayOfEra / 1460) | 0) +
        ((dayOfEra / 36_524) | 0) -
        ((dayOfEra / 146_096) | 0)) /
        365) |
      0;
    const dayOfYear =
      dayOfEra - (365 * yearOfEra + ((yearOfEra / 4) | 0) - ((yearOfEra / 100) | 0));
    const march = ((5 * dayOfYear + 2) / 153) | 0;
    this.day = dayOfYear - (((153 * march + 2) / 5) | 0) + 1;
    this.month = march < 10 ? march + 3 : march - 9;
    this.year = yearOfEra + era * 400 + (this.month <= 2 ? 1 : 0);
  }
}
