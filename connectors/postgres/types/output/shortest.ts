/**
 * The shortest digits that are a binary floating-point number, as Postgres 12 and later choose them
 * (`src/common/d2s.c`, `f2s.c`): the fewest digits of a decimal strictly nearer to the number than to
 * any other, of these the nearest, of two the even one. JavaScript's text also takes a decimal that lies
 * half way to the neighbour, if reading rounds it to the number: 7.204987643290822e16, where Postgres
 * writes 7.2049876432908224e16.
 *
 * As digits with a point after the first, and a power of ten: `7.2049876432908224e+16`. The number must
 * be finite and not zero.
 */
export function shortestDouble(value: number): string {
  // A decimal of up to 17 digits is half way between two doubles only if it is m × 2^(e-1) with an m of
  // 54 or 55 bits that all its trailing zeros' fives divide: not below 2^54, and not from 10^17 × 10^23.
  const size = Math.abs(value);
  if (size < 2 ** 54 || size >= 1e40) return value.toExponential();
  bits.setFloat64(0, size);
  const all = bits.getBigUint64(0);
  const fraction = all & (2n ** 52n - 1n);
  const power = Number(all >> 52n) - 1075;
  return signed(value, shortest(fraction + 2n ** 52n, power, fraction === 0n));
}

/** As {@link shortestDouble}, for a number of single precision. */
export function shortestSingle(value: number): string {
  bits.setFloat32(0, Math.abs(value));
  const all = bits.getUint32(0);
  const fraction = all & 0x7f_ffff;
  const exponent = all >>> 23;
  const mantissa = exponent === 0 ? fraction : fraction + 0x80_0000;
  const nearerBelow = fraction === 0 && exponent > 1;
  return signed(value, shortest(BigInt(mantissa), Math.max(1, exponent) - 150, nearerBelow));
}

const bits = new DataView(new ArrayBuffer(8));

const signed = (value: number, digits: string): string => (value < 0 ? `-${digits}` : digits);

/**
 * For `mantissa × 2^power`. The number below a power of two is nearer than the one above it:
 * `nearerBelow`. All is in whole numbers: quarters of the last bit, times a power of ten.
 */
function shortest(mantissa: bigint, power: number, nearerBelow: boolean): string {
  const quarters = power - 2;
  const [scale, tens] =
    quarters >= 0 ? [2n ** BigInt(quarters), 0] : [5n ** BigInt(-quarters), quarters];
  const exact = 4n * mantissa * scale;
  const below = exact - (nearerBelow ? 1n : 2n) * scale;
  const above = exact + 2n * scale;
  for (let zeros = String(above).length - 1; ; zeros--) {
    const unit = 10n ** BigInt(zeros);
    const low = exact / unit;
    const rest = exact - low * unit;
    const lowFits = low * unit > below;
    const highFits = (low + 1n) * unit < above;
    if (lowFits || highFits) {
      const up = 2n * rest === unit ? low % 2n === 1n : 2n * rest > unit;
      return exponential(low + (highFits && (up || !lowFits) ? 1n : 0n), zeros + tens);
    }
  }
}

function exponential(whole: bigint, tens: number): string {
  const digits = String(whole);
  const rest = digits.slice(1).replace(/0+$/, '');
  const power = tens + digits.length - 1;
  return `${digits[0]}${rest === '' ? '' : '.'}${rest}e${power < 0 ? '' : '+'}${power}`;
}
