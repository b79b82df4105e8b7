import * as fc from 'fast-check';

export const int = (bits: number): fc.Arbitrary<string> =>
  fc
    .oneof(
      fc.bigInt({ min: -(2n ** BigInt(bits - 1)), max: 2n ** BigInt(bits - 1) - 1n }),
      fc.bigInt({ min: -200n, max: 200n }),
      fc.constantFrom(-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n),
    )
    .map(String);

export const text = fc
  .oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.constantFrom('', 'NULL', 'null', '{}'))
  .map((value) => value.replaceAll('\0', ''));

export const pad = (value: number, size = 2): string => String(value).padStart(size, '0');

export const time = (digits: number): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.integer({ min: 0, max: 23 }),
      fc.integer({ min: 0, max: 59 }),
      fc.integer({ min: 0, max: 59 }),
      fc.integer({ min: 0, max: 10 ** digits - 1 }),
    )
    .map(
      ([hours, minutes, seconds, fraction]) =>
        `${pad(hours)}:${pad(minutes)}:${pad(seconds)}${digits > 0 ? `.${pad(fraction, digits)}` : ''}`,
    );
