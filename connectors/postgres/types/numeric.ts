import type { ByteWriter } from '../../../schemas/byte-writer.ts';
import { float8Codec } from './floats.ts';
import { numericOutput } from './output/numbers.ts';
import { outputCodec } from './texts.ts';
import { writeBigInteger, writeInteger } from './unscaled.ts';
import { EXACTNESS, int16At, malformed, sayInexact, textOf, unsupported } from './type-codec.ts';
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
  /** Digits shown after the point. */
  scale = 0;
  /** NaN, Infinity or -Infinity; else the rest holds. */
  special: string | null = null;

  fromBinary(cell: Cell): void {
    const { bytes, start, end } = cell;
    this.special = null;
    const count = int16At(bytes, start);
    const sign = int16At(bytes, start + 4) & 0xffff;
    if ((sign & SPECIAL) === SPECIAL) {
      this.special = numericOutput(cell);
      return;
    }
    if (end - start !== 8 + 2 * count) throw malformed('a binary numeric');
    this.negative = sign === NEGATIVE;
    this.scale = int16At(bytes, start + 6);
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
    this.special = null;
    this.negative = bytes[start] === 0x2d;
    this.exponent = 0;
    this.large = null;
    let value = 0;
    let point = -1;
    for (let at = this.negative ? start + 1 : start; at < end; at++) {
      const letter = bytes[at] as number;
      if (letter === 0x2e && point < 0) point = at;
      else if (letter >= 0x30 && letter <= 0x39) value = value * 10 + letter - 0x30;
      else {
        this.special = textOf(cell);
        if (!/^(NaN|-?Infinity)$/.test(this.special)) throw malformed('a number');
        return;
      }
    }
    if (point >= 0) this.exponent = point + 1 - end;
    this.scale = -this.exponent;
    if (value > Number.MAX_SAFE_INTEGER) {
      this.large = textOf(cell).replace('-', '').replace('.', '');
    }
    this.small = value;
  }
}

const digits = new Digits();

/**
 * numeric(p, s) as Connect's Decimal: the unscaled integer, as `BigInteger.toByteArray` writes it. NaN
 * is an integer with more digits than the precision allows.
 */
export function decimalCodec(precision: number, scale: number): TypeCodec {
  const write = (out: ByteWriter): void => {
    if (digits.special === null) writeUnscaled(digits.exponent + scale, out);
    else writeSpecial(digits.special, 10n ** BigInt(precision), out);
  };
  return {
    semantic: { kind: 'decimal', precision, scale },
    binary(cell, out) {
      digits.fromBinary(cell);
      write(out);
    },
    text(cell, out) {
      digits.fromText(cell);
      write(out);
    },
  };
}

/** numeric as a float, for those who want it so. */
export const doubleDecimalCodec: TypeCodec = {
  semantic: { kind: 'float64' },
  binary(cell, out) {
    out.double(Number(numericOutput(cell)));
  },
  text(cell, out) {
    float8Codec.text(cell, out);
  },
};

/** numeric as Postgres prints it. */
export const stringDecimalCodec: TypeCodec = outputCodec({ kind: 'string' }, numericOutput);

/** numeric without a scale of its own, with as many places as Postgres shows. */
export const variableDecimalCodec: TypeCodec = {
  semantic: { kind: 'variable-decimal' },
  binary(cell, out) {
    digits.fromBinary(cell);
    writeVariable(digits.scale, out);
  },
  text(cell, out) {
    digits.fromText(cell);
    writeVariable(digits.scale, out);
  },
};

/**
 * The same for keys, in the one form that equal numbers share: the smallest scale that is not negative
 * (as Debezium, which strips trailing zeros everywhere). So 1.0 and 1.00 are one key.
 */
export const keyDecimalCodec: TypeCodec = {
  semantic: { kind: 'variable-decimal' },
  binary(cell, out) {
    digits.fromBinary(cell);
    writeVariable(strip(), out);
  },
  text(cell, out) {
    digits.fromText(cell);
    writeVariable(strip(), out);
  },
};

/** One more than the places that numeric has (NUMERIC_MAX_SCALE). */
const IMPOSSIBLE_SCALE = 16_384;

function writeVariable(scale: number, out: ByteWriter): void {
  if (digits.special !== null) {
    out.long(IMPOSSIBLE_SCALE);
    writeSpecial(digits.special, 1n, out);
    return;
  }
  out.long(scale);
  writeUnscaled(digits.exponent + scale, out);
}

/** Takes the zeros after the point off, and answers how many places are left. */
function strip(): number {
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
  return Math.max(0, -digits.exponent);
}

/** What no finite value is written as: NaN as `unit`, the infinities as ±2 × `unit`. */
function writeSpecial(special: string, unit: bigint, out: ByteWriter): void {
  writeBigInteger(special === 'NaN' ? unit : unit * (special === 'Infinity' ? 2n : -2n), out);
  sayInexact(EXACTNESS.uniquePlaceholder, special);
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
  writeBigInteger(digits.negative ? -value : value, out);
}

function digitText(bytes: Buffer, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at += 2) text += String(int16At(bytes, at)).padStart(4, '0');
  return text;
}

function tooFine(): Error {
  return unsupported('A numeric has more decimal places than its column declares.');
}
