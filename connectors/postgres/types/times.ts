import type { ByteWriter } from '../../../schemas/byte-writer.ts';
import { CivilDate, DAY_MICROS, EPOCH_DAYS, Moment } from './moment.ts';
import { expectSize, int32At, unsupported } from './type-codec.ts';
import type { TypeCodec } from './type-codec.ts';

/**
 * `infinity` and `-infinity` as the integers that Debezium streams for them. All lie outside what
 * Postgres can store in the type, so nothing else reads as one.
 */
export const INFINITE_DAYS = { positive: 2_146_033_979, negative: -2_147_472_691 } as const;
export const INFINITE_MILLIS = {
  positive: 9_223_372_036_825_200_000n,
  negative: -9_223_372_036_832_400_000n,
} as const;
export const INFINITE_MICROS = {
  positive: 0x7fff_ffff_ffff_ffffn,
  negative: -0x8000_0000_0000_0000n,
} as const;

const moment = new Moment();

export const dateCodec: TypeCodec = {
  semantic: { kind: 'date' },
  binary(cell, out) {
    expectSize(cell, 4);
    const days = int32At(cell.bytes, cell.start);
    if (days === 0x7fff_ffff) out.long(INFINITE_DAYS.positive);
    else out.long(days === -0x8000_0000 ? INFINITE_DAYS.negative : days + EPOCH_DAYS);
  },
  text(cell, out) {
    moment.fromText(cell);
    if (moment.infinite === 0) out.long(moment.days);
    else out.long(moment.infinite > 0 ? INFINITE_DAYS.positive : INFINITE_DAYS.negative);
  },
};

/** time(p): milliseconds up to p = 3, else microseconds. 24:00 is a value of its own. */
export function timeCodec(precision: number): TypeCodec {
  const unit = precision <= 3 ? 'ms' : 'us';
  const write = (micros: number, out: ByteWriter): void =>
    out.long(unit === 'us' ? micros : wholeMillis(micros));
  return {
    semantic: { kind: 'time', unit },
    binary(cell, out) {
      expectSize(cell, 8);
      const high = int32At(cell.bytes, cell.start);
      write(high * 0x1_0000_0000 + (int32At(cell.bytes, cell.start + 4) >>> 0), out);
    },
    text(cell, out) {
      moment.timeFromText(cell);
      write(moment.micros, out);
    },
  };
}

/** timestamp(p): milliseconds since 1970 up to p = 3, else microseconds. */
export function timestampCodec(precision: number): TypeCodec {
  const write = precision <= 3 ? writeMillis : writeMicros;
  return {
    semantic: { kind: 'timestamp', unit: precision <= 3 ? 'ms' : 'us' },
    binary(cell, out) {
      expectSize(cell, 8);
      moment.fromBinary(cell);
      write(out);
    },
    text(cell, out) {
      moment.fromText(cell);
      write(out);
    },
  };
}

function writeMillis(out: ByteWriter): void {
  if (moment.infinite !== 0) {
    out.bigint(moment.infinite > 0 ? INFINITE_MILLIS.positive : INFINITE_MILLIS.negative);
    return;
  }
  const rest = wholeMillis(moment.micros);
  const millis = moment.days * 86_400_000 + rest;
  if (Number.isSafeInteger(millis)) out.long(millis);
  else out.bigint(BigInt(moment.days) * 86_400_000n + BigInt(rest));
}

function writeMicros(out: ByteWriter): void {
  if (moment.infinite !== 0) {
    out.bigint(moment.infinite > 0 ? INFINITE_MICROS.positive : INFINITE_MICROS.negative);
    return;
  }
  const micros = moment.days * DAY_MICROS + moment.micros;
  if (Number.isSafeInteger(micros)) {
    out.long(micros);
    return;
  }
  const exact = BigInt(moment.days) * 86_400_000_000n + BigInt(moment.micros);
  if (exact >= INFINITE_MICROS.positive) {
    throw unsupported('A timestamp lies past 294247-01-10: 64 bits of microseconds end there.');
  }
  out.bigint(exact);
}

function wholeMillis(micros: number): number {
  const rest = micros % 1000;
  if (rest !== 0) throw unsupported('A time is finer than its column declares.');
  return (micros - rest) / 1000;
}

/** timestamptz(p): `2024-02-29T12:34:56.123456Z` with p digits; years as ISO 8601 (`-0043` is 44 BC). */
export function zonedTimestampCodec(precision: number): TypeCodec {
  const unit = 10 ** (6 - precision);
  const write = (out: ByteWriter): void => writeZoned(precision, unit, out);
  return {
    semantic: { kind: 'zoned-timestamp' },
    binary(cell, out) {
      expectSize(cell, 8);
      moment.fromBinary(cell);
      write(out);
    },
    text(cell, out) {
      moment.fromText(cell);
      write(out);
    },
  };
}

const date = new CivilDate();

/** `unit`: microseconds of the last digit. */
function writeZoned(precision: number, unit: number, out: ByteWriter): void {
  if (moment.infinite !== 0) {
    out.string(moment.infinite > 0 ? 'infinity' : '-infinity');
    return;
  }
  date.fromDays(moment.days);
  const { year } = date;
  // Four digits, or a sign and as many as it takes.
  const ordinary = year >= 0 && year <= 9999;
  const yearDigits = ordinary ? 4 : Math.max(4, String(Math.abs(year)).length);
  const size = (ordinary ? 20 : 17 + yearDigits) + (precision > 0 ? precision + 1 : 0);
  out.reserve(size + 1);
  const { bytes } = out;
  bytes[out.position++] = size << 1;
  if (!ordinary) bytes[out.position++] = year < 0 ? 0x2d : 0x2b;
  digits(Math.abs(year), yearDigits, out);
  const seconds = (moment.micros / 1_000_000) | 0;
  const minutes = (seconds / 60) | 0;
  const hours = (minutes / 60) | 0;
  pair(0x2d, date.month, out);
  pair(0x2d, date.day, out);
  pair(0x54, hours, out);
  pair(0x3a, minutes - hours * 60, out);
  pair(0x3a, seconds - minutes * 60, out);
  const fraction = (moment.micros - seconds * 1_000_000) / unit;
  if (!Number.isInteger(fraction)) throw unsupported('A time is finer than its column declares.');
  if (precision > 0) {
    bytes[out.position++] = 0x2e;
    digits(fraction, precision, out);
  }
  bytes[out.position++] = 0x5a;
}

/** Exactly `count` digits; the room is reserved. */
function digits(value: number, count: number, out: ByteWriter): void {
  let rest = value;
  for (let at = out.position + count - 1; at >= out.position; at--) {
    const next = (rest / 10) | 0;
    out.bytes[at] = 0x30 + rest - next * 10;
    rest = next;
  }
  out.position += count;
}

/** A separator and two digits. */
function pair(separator: number, value: number, out: ByteWriter): void {
  const tens = (value / 10) | 0;
  out.bytes[out.position++] = separator;
  out.bytes[out.position++] = 0x30 + tens;
  out.bytes[out.position++] = 0x30 + value - tens * 10;
}
