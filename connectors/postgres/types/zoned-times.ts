import type { ByteWriter } from '../../../schemas/byte-writer.ts';
import { CivilDate, Moment } from './moment.ts';
import { textOf, expectSize, unsupported, malformed, type TypeCodec } from './type-codec.ts';
import { timetzOutput } from './output/times.ts';

const moment = new Moment();

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

/**
 * timetz: ISO 8601 text with the offset that the value has, `Z` if that is none. Debezium turns it into
 * UTC; to Postgres 12:00+00 and 13:00+01 are two values.
 */
export const zonedTimeCodec: TypeCodec = {
  semantic: { kind: 'zoned-time' },
  binary(cell, out) {
    expectSize(cell, 12);
    out.string(zonedTime(timetzOutput(cell)));
  },
  text(cell, out) {
    out.string(zonedTime(textOf(cell)));
  },
};

/** From `12:34:56.7+05`. ISO 8601 has minutes in every offset. */
function zonedTime(text: string): string {
  const found = /^(\d\d:\d\d:\d\d(?:\.\d{1,6})?)([+-]\d\d)(:\d\d(?::\d\d)?)?$/.exec(text);
  if (found === null) throw malformed('a time with an offset (DateStyle = ISO)');
  const [, time = '', hours = '', rest = ':00'] = found;
  return hours === '+00' && rest === ':00' ? `${time}Z` : `${time}${hours}${rest}`;
}
