import type { ByteWriter } from '../../../schemas/byte-writer.ts';
import type { TimeUnit } from '../../../schemas/semantic.ts';
import { DAY_MICROS, EPOCH_DAYS, Moment } from './moment.ts';
import { clock, momentText } from './output/times.ts';
import { EXACTNESS, expectSize, int32At, sayInexact, unsupported } from './type-codec.ts';
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

/** Days since 1970. `connect` only changes the name. */
export function dateCodec(name?: 'connect'): TypeCodec {
  return {
    semantic: name === undefined ? { kind: 'date' } : { kind: 'date', name },
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
}

/** Time since midnight in one unit; `connect` is milliseconds, whatever they leave. 24:00 is a value of its own. */
export function timeCodec(unit: TimeUnit | 'connect'): TypeCodec {
  const write = {
    ms: (micros: number, out: ByteWriter) => out.long(wholeMillis(micros)),
    us: (micros: number, out: ByteWriter) => out.long(micros),
    ns: (micros: number, out: ByteWriter) => out.long(micros * 1000),
    connect(micros: number, out: ByteWriter) {
      out.long(Math.floor(micros / 1000));
      if (micros % 1000 !== 0) sayInexact(EXACTNESS.approximate, clock(micros));
    },
  }[unit];
  return {
    semantic:
      unit === 'connect' ? { kind: 'time', unit: 'ms', name: 'connect' } : { kind: 'time', unit },
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

/** Time since 1970 in one unit; `connect` is milliseconds, whatever they leave. */
export function timestampCodec(unit: TimeUnit | 'connect'): TypeCodec {
  const write = { ms: writeMillis, us: writeMicros, ns: writeNanos, connect: writeFloorMillis }[
    unit
  ];
  return {
    semantic:
      unit === 'connect'
        ? { kind: 'timestamp', unit: 'ms', name: 'connect' }
        : { kind: 'timestamp', unit },
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
  if (moment.infinite !== 0) writeInfinity(INFINITE_MILLIS, out);
  else writeSince(86_400_000, wholeMillis(moment.micros), out);
}

function writeFloorMillis(out: ByteWriter): void {
  if (moment.infinite !== 0) return writeInfinity(INFINITE_MILLIS, out);
  writeSince(86_400_000, Math.floor(moment.micros / 1000), out);
  if (moment.micros % 1000 !== 0) sayInexact(EXACTNESS.approximate, momentText(moment));
}

function writeSince(unitsPerDay: number, rest: number, out: ByteWriter): void {
  const units = moment.days * unitsPerDay + rest;
  if (Number.isSafeInteger(units)) out.long(units);
  else out.bigint(BigInt(moment.days) * BigInt(unitsPerDay) + BigInt(rest));
}

function writeMicros(out: ByteWriter): void {
  if (moment.infinite !== 0) return writeInfinity(INFINITE_MICROS, out);
  const micros = moment.days * DAY_MICROS + moment.micros;
  if (Number.isSafeInteger(micros)) {
    out.long(micros);
    return;
  }
  const exact = BigInt(moment.days) * 86_400_000_000n + BigInt(moment.micros);
  if (exact < INFINITE_MICROS.positive) return out.bigint(exact);
  // Past 294247-01-10, where 64 bits end: wrapped to before all that Postgres has, and off both infinities.
  out.bigint(exact + 2n);
  sayInexact(EXACTNESS.uniquePlaceholder, momentText(moment));
}

/** 64 bits of nanoseconds reach from 1677 to 2262. */
function writeNanos(out: ByteWriter): void {
  if (moment.infinite !== 0) return writeInfinity(INFINITE_MICROS, out);
  const exact = (BigInt(moment.days) * 86_400_000_000n + BigInt(moment.micros)) * 1000n;
  if (exact < INFINITE_MICROS.positive && exact > INFINITE_MICROS.negative) out.bigint(exact);
  else {
    out.byte(0);
    sayInexact(EXACTNESS.placeholder, momentText(moment));
  }
}

function writeInfinity(
  as: { readonly positive: bigint; readonly negative: bigint },
  out: ByteWriter,
): void {
  out.bigint(moment.infinite > 0 ? as.positive : as.negative);
}

function wholeMillis(micros: number): number {
  const rest = micros % 1000;
  if (rest !== 0) throw unsupported('A time is finer than its column declares.');
  return (micros - rest) / 1000;
}
