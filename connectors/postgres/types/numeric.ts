import type { ByteWriter } from '../../../schemas/byte-writer.ts';
import { int16At, malformed, textOf, unsupported } from './type-codec.ts';
import type { Cell, TypeCodec } from './type-codec.ts';

/**
 * numeric. Its binary form (numeric_send):
 *
 * ```
 * i16 number of digits   i16 weight of the first   u16 sign   i16 digits shown after the point
 * then the digits, i16 each, base 10000
 * ```
 */
const NEGATIVE = 0x4000;
const SPECIAL = 0xc000;

/** value = digits × 10^exponent; the digits are in `small` if they fit 2^53, else in `large`. */
class Digits {
  negative = false;
  small = 0;
  large: string | null = null;
  exponent = 0;

  fromBinary({ bytes, start, end }: Cell): void {
    const count = int16At(bytes, start);
    const sign = int16At(bytes, start + 4) & 0xffff;
    if ((sign & SPECIAL) === SPECIAL) throw notFinite();
    if (end - start !== 8 + 2 * count) throw malformed('a binary numeric');
    this.negative = sign === NEGATIVE;
    this.exponent = count === 0 ? 0 : 4 * (int16At(bytes, start + 2) - count + 1);
    this.large = null;
    let value = 0;
    for (let at = start + 8; at < end; at += 2) {
      value = value * 10_000 + int16At(bytes, at);
      if (value > Number.MAX_SAFE_INTEGER) {
        this.large = digitText(bytes, start + 8, end);
        return;
      }
    }
    this.small = value;
  }

  fromText(cell: Cell): void {
    const { bytes, start, end } = cell;
    this.negative = bytes[start] === 0x2d;
    this.exponent = 0;
    this.large = null;
    let value = 0;
    let point = -1;
    for (let at = this.negative ? start + 1 : start; at < end; at++) {
      const letter = bytes[at] as number;
      if (letter === 0x2e && point < 0) point = at;
      else if (letter >= 0x30 && letter <= 0x39) value = value * 10 + letter - 0x30;
      else if (/^(NaN|-?Infinity)$/.test(textOf(cell))) throw notFinite();
      else throw malformed('a number');
    }
    if (point >= 0) this.exponent = point + 1 - end;
    if (value > Number.MAX_SAFE_INTEGER) {
      this.large = textOf(cell).replace('-', '').replace('.', '');
    }
    this.small = value;
  }
}

const digits = new Digits();

/** numeric(p, s) as Connect's Decimal: the unscaled integer, as `BigInteger.toByteArray` writes it. */
export function decimalCodec(precision: number, scale: number): TypeCodec {
  return {
    semantic: { kind: 'decimal', precision, scale },
    binary(cell, out) {
      digits.fromBinary(cell);
      writeUnscaled(digits.exponent + scale, out);
    },
    text(cell, out) {
      digits.fromText(cell);
      writeUnscaled(digits.exponent + scale, out);
    },
  };
}

/**
 * numeric without a scale of its own, in the one form that equal numbers share: the smallest scale
 * that is not negative (as Debezium, which strips trailing zeros). So 1.0 and 1.00 are one key.
 */
export const variableDecimalCodec: TypeCodec = {
  semantic: { kind: 'variable-decimal' },
  binary(cell, out) {
    digits.fromBinary(cell);
    writeVariable(out);
  },
  text(cell, out) {
    digits.fromText(cell);
    writeVariable(out);
  },
};

function writeVariable(out: ByteWriter): void {
  if (digits.large === null) {
    while (digits.exponent < 0 && digits.small % 10 === 0) {
      if (digits.small === 0) digits.exponent = 0;
      else {
        digits.small /= 10;
        digits.exponent++;
      }
    }
  } else {
    let end = digits.large.length;
    for (; digits.exponent < 0 && digits.large[end - 1] === '0'; end--) digits.exponent++;
    digits.large = digits.large.slice(0, end);
  }
  const scale = Math.max(0, -digits.exponent);
  out.long(scale);
  writeUnscaled(digits.exponent + scale, out);
}

/** Writes digits × 10^exponent, which must be an integer, as Avro bytes. */
function writeUnscaled(exponent: number, out: ByteWriter): void {
  if (digits.large === null && exponent > -16 && exponent < 16) {
    const power = 10 ** Math.abs(exponent);
    if (exponent < 0 && digits.small % power !== 0) throw tooFine();
    const value = exponent < 0 ? digits.small / power : digits.small * power;
    if (value <= Number.MAX_SAFE_INTEGER) {
      writeInteger(digits.negative ? 0 - value : value, out);
      return;
    }
  }
  const text = digits.large ?? String(digits.small);
  let value: bigint;
  if (exponent >= 0) value = BigInt(text + '0'.repeat(exponent));
  else {
    if (!/^0*$/.test(text.slice(exponent))) throw tooFine();
    value = BigInt(text.slice(0, exponent) || '0');
  }
  const bytes = twosComplement(digits.negative ? -value : value);
  out.slice(bytes);
}

/** Minimal big-endian two's complement, for |value| < 2^53. */
function writeInteger(value: number, out: ByteWriter): void {
  let size = 1;
  for (let bound = 128; value >= bound || value < -bound; bound *= 256) size++;
  out.reserve(9);
  const { bytes } = out;
  const at = out.position;
  bytes[at] = size << 1;
  const high = Math.floor(value / 0x1_0000_0000);
  const low = value | 0;
  for (let i = 0; i < size; i++) {
    const shift = i * 8;
    bytes[at + size - i] = shift < 32 ? low >>> shift : high >> (shift - 32);
  }
  out.position = at + 1 + size;
}

function twosComplement(value: bigint): Buffer {
  const hex = (value < 0n ? -value - 1n : value).toString(16);
  const bits = hex.length * 4 - (Math.clz32(parseInt(hex.charAt(0), 16)) - 28);
  const size = (bits >> 3) + 1;
  return Buffer.from(
    BigInt.asUintN(size * 8, value)
      .toString(16)
      .padStart(size * 2, '0'),
    'hex',
  );
}

function digitText(bytes: Buffer, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at += 2) text += String(int16At(bytes, at)).padStart(4, '0');
  return text;
}

function notFinite(): Error {
  return unsupported('A numeric is NaN or infinite: Decimal cannot carry it.');
}

function tooFine(): Error {
  return unsupported('A numeric has more decimal places than its column declares.');
}
