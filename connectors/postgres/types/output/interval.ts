import { malformed } from '../type-codec.ts';
import { two, view, type Output } from './output.ts';

/** Three numbers that do not turn into each other: a month has no fixed days, a day no fixed hours. */
export interface IntervalParts {
  readonly months: number;
  readonly days: number;
  readonly micros: bigint;
  /** 1 and -1 for `infinity` and `-infinity` (PostgreSQL 17), else 0. */
  readonly infinite: number;
}

const INT64_MAX = 0x7fff_ffff_ffff_ffffn;

/** interval_send: `i64 microseconds, i32 days, i32 months`. */
export function intervalParts(data: DataView): IntervalParts {
  const micros = data.getBigInt64(0);
  const days = data.getInt32(8);
  const months = data.getInt32(12);
  let infinite = 0;
  if (days === 0x7fff_ffff && months === days && micros === INT64_MAX) infinite = 1;
  if (days === -0x8000_0000 && months === days && micros === -INT64_MAX - 1n) infinite = -1;
  return { months, days, micros, infinite };
}

const WORDS =
  /^(?:([+-]?\d+) years? ?)?(?:([+-]?\d+) mons? ?)?(?:([+-]?\d+) days? ?)?(?:([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?$/;

/** `1 year 2 mons -3 days +04:05:06.789`, as IntervalStyle postgres writes it. */
export function intervalFromText(text: string): IntervalParts {
  if (text === 'infinity' || text === '-infinity') {
    return { months: 0, days: 0, micros: 0n, infinite: text === 'infinity' ? 1 : -1 };
  }
  const found = WORDS.exec(text);
  if (found === null || text === '') throw malformed('an interval (IntervalStyle = postgres)');
  const [, years = '0', months = '0', days = '0', sign, hours = '0', minutes = '0', seconds = '0'] =
    found;
  const fraction = (found[8] ?? '').padEnd(6, '0');
  const clock =
    (BigInt(hours) * 3600n + BigInt(minutes) * 60n + BigInt(seconds)) * 1_000_000n +
    BigInt(fraction);
  return {
    months: Number(years) * 12 + Number(months),
    days: Number(days),
    micros: sign === '-' ? -clock : clock,
    infinite: 0,
  };
}

/** interval_out with IntervalStyle postgres (EncodeInterval). */
export const intervalOutput: Output = (cell) => intervalText(intervalParts(view(cell)));

export function intervalText({ months, days, micros, infinite }: IntervalParts): string {
  if (infinite !== 0) return infinite > 0 ? 'infinity' : '-infinity';
  const words: string[] = [];
  let before = false;
  for (const [value, unit] of [
    [Math.trunc(months / 12), 'year'],
    [months % 12, 'mon'],
    [days, 'day'],
  ] as const) {
    if (value === 0) continue;
    words.push(`${before && value > 0 ? '+' : ''}${value} ${unit}${value === 1 ? '' : 's'}`);
    before = value < 0;
  }
  if (words.length === 0 || micros !== 0n) {
    const sign = micros < 0n ? '-' : before ? '+' : '';
    words.push(sign + longClock(micros < 0n ? -micros : micros));
  }
  return words.join(' ');
}

function longClock(micros: bigint): string {
  const seconds = micros / 1_000_000n;
  const fraction = String(micros % 1_000_000n)
    .padStart(6, '0')
    .replace(/0+$/, '');
  const hours = String(seconds / 3600n).padStart(2, '0');
  const [minutes, rest] = [Number((seconds / 60n) % 60n), Number(seconds % 60n)];
  return `${hours}:${two(minutes)}:${two(rest)}${fraction === '' ? '' : `.${fraction}`}`;
}

/** ISO 8601 as Debezium writes it: every part is there, each with its own sign. */
export function intervalIso(interval: IntervalParts): string {
  const { months, days, micros, infinite } = interval;
  if (infinite !== 0) return infinite > 0 ? 'infinity' : '-infinity';
  const sign = micros < 0n ? -1n : 1n;
  const left = micros * sign;
  const fraction = String(left % 1_000_000n)
    .padStart(6, '0')
    .replace(/0+$/, '');
  const shown = (value: bigint): string => String(value * sign);
  const seconds = (left / 1_000_000n) % 60n;
  const text =
    fraction === '' ? shown(seconds) : `${sign < 0n ? '-' : ''}${String(seconds)}.${fraction}`;
  return (
    `P${Math.trunc(months / 12)}Y${months % 12}M${days}D` +
    `T${shown(left / 3_600_000_000n)}H${shown((left / 60_000_000n) % 60n)}M${text}S`
  );
}

/** Debezium's number: a month is a twelfth of 365.25 days; what 64 bits cannot hold is their end. */
export function intervalMicros({ months, days, micros, infinite }: IntervalParts): bigint {
  if (infinite !== 0) return infinite > 0 ? INT64_MAX : -INT64_MAX - 1n;
  const all = BigInt(months) * 2_629_800_000_000n + BigInt(days) * 86_400_000_000n + micros;
  if (all > INT64_MAX) return INT64_MAX;
  return all < -INT64_MAX - 1n ? -INT64_MAX - 1n : all;
}
