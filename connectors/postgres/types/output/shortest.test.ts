import { expect, test } from 'vitest';
import * as fc from 'fast-check';
import { startDatabase } from '../../../../tests/support/postgres.ts';
import { seed } from '../../../../tests/support/seed.ts';
import { float4Output, float8Output } from './numbers.ts';
import { doubleOfSingle, shortestSingle } from './shortest.ts';

/** Doubles whose neighbours, ties and half ways are the interesting ones, besides any. */
const doubles = fc.oneof(
  fc.double({ noDefaultInfinity: true, noNaN: true }),
  // Around powers of two, where the gap to the next number changes.
  fc
    .tuple(fc.integer({ min: -1074, max: 1023 }), fc.integer({ min: -3, max: 3 }))
    .map(([power, steps]) => stepped(2 ** power, steps)),
  // Whole numbers that a double holds, but not all their neighbours.
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n }).map(Number),
  fc
    .tuple(fc.bigInt({ min: 1n, max: 10n ** 17n }), fc.integer({ min: 0, max: 24 }))
    .map(([digits, zeros]) => Number(`${digits}e${zeros}`)),
  halfWay(53),
  ties(52),
);

const singles = fc.oneof(
  fc.float({ noDefaultInfinity: true, noNaN: true }),
  fc
    .tuple(fc.integer({ min: -149, max: 127 }), fc.integer({ min: -3, max: 3 }))
    .map(([power, steps]) => steppedSingle(2 ** power, steps)),
  fc.integer({ min: 2 ** 23, max: 2 ** 31 }).map(Math.fround),
  halfWay(24).map(Math.fround),
  ties(23).map(Math.fround),
);

/** Numbers of `size` bits with a short decimal exactly half way to the next one. */
function halfWay(size: number): fc.Arbitrary<number> {
  return fc
    .tuple(
      fc.integer({ min: 1, max: size === 53 ? 22 : 9 }),
      fc.bigInt({ min: 0n, max: 2n ** BigInt(size) }),
      fc.integer({ min: 0, max: 40 }),
    )
    .map(([fives, random, twos]) => {
      // An odd number of one bit more than a mantissa has: it lies between two numbers.
      const five = 5n ** BigInt(fives);
      const from = (2n ** BigInt(size) + random) / five;
      const middle = (from | 1n) * five;
      return Number((middle - 1n) * 2n ** BigInt(twos + fives));
    });
}

/** Numbers that end in .25 and .75, with few bits to spare: two decimals are equally near. */
function ties(bits: number): fc.Arbitrary<number> {
  return fc
    .tuple(
      fc.bigInt({ min: 2n ** BigInt(bits), max: 2n ** BigInt(bits + 1) - 1n }),
      fc.integer({ min: 1, max: 12 }),
    )
    .map(([whole, places]) => Number(whole | 1n) / 2 ** places);
}

function stepped(value: number, steps: number): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  view.setBigUint64(0, BigInt.asUintN(63, view.getBigUint64(0) + BigInt(steps)));
  return view.getFloat64(0);
}

function steppedSingle(value: number, steps: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  view.setUint32(0, (view.getUint32(0) + steps) & 0x7fff_ffff);
  return view.getFloat32(0);
}

const signed = (values: fc.Arbitrary<number>): fc.Arbitrary<number> =>
  fc
    .tuple(values.filter(Number.isFinite), fc.boolean())
    .map(([value, minus]) => (minus ? -value : value));

const digitsOf = (text: string): string => text.replace(/e.*/, '').replaceAll(/[-.0]/g, '');

const all = (value: number, digits: number): string =>
  Object.is(value, -0) ? '-0' : value.toPrecision(digits);

/** All digits that a number may need, for the server to read; and its binary form. */
const double = (value: number): [string, Buffer] => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return [all(value, 17), bytes];
};

const single = (value: number): [string, Buffer] => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatBE(value);
  return [all(value, 9), bytes];
};

test('the shortest digits of floats are those that the server writes', async () => {
  await using server = await startDatabase();
  await server.client.query('set extra_float_digits = 1');
  for (const [type, values, form, output] of [
    ['float8', doubles, double, float8Output],
    ['float4', singles, single, float4Output],
  ] as const) {
    const forms = fc.sample(signed(values), { seed, numRuns: 20_000 }).map(form);
    const { rows } = await server.client.query(
      `select v::${type}::text want from unnest($1::text[]) with ordinality u(v, i) order by i`,
      [forms.map(([text]) => text)],
    );
    const wrong = forms.flatMap(([text, bytes], at) => {
      const got = output({ bytes, start: 0, end: bytes.length });
      return got === rows[at].want ? [] : [`${text}: ${got}, not ${rows[at].want}`];
    });
    expect(wrong, `seed ${seed}, ${type}`).toEqual([]);
  }
}, 120_000);

test('a single as the double nearest to its text is read from the text alike', () => {
  for (const value of fc.sample(signed(singles), { seed, numRuns: 100_000 })) {
    const text = value === 0 ? value : Number(shortestSingle(value));
    expect(Object.is(doubleOfSingle(value), text), `seed ${seed}, ${value}`).toBe(true);
  }
});

test('the sample has doubles of which JavaScript writes other digits', () => {
  const others = fc.sample(doubles, { seed, numRuns: 20_000 }).filter((value) => {
    const [, bytes] = double(value);
    const written = float8Output({ bytes, start: 0, end: 8 });
    return digitsOf(written) !== digitsOf(String(value));
  });
  expect(others.length, `seed ${seed}`).toBeGreaterThan(10);
});

test.each([
  [7.204987643290822e16, '7.2049876432908224e+16'],
  [-7.204987643290822e16, '-7.2049876432908224e+16'],
  [9_007_199_254_740_992, '9.007199254740992e+15'],
  [5e-324, '5e-324'],
  [1.7976931348623157e308, '1.7976931348623157e+308'],
  [2 ** -44, '5.684341886080802e-14'],
  [1e15, '1e+15'],
  [999_999_999_999_999, '999999999999999'],
  [0.0001, '0.0001'],
  [-0, '-0'],
])('the float8 %d is written as %s', (value, text) => {
  expect(float8Output({ bytes: double(value)[1], start: 0, end: 8 })).toBe(text);
});

test.each([
  [2_097_152.25, '2.0971522e+06'],
  [16_777_216, '1.6777216e+07'],
  [1e-45, '1e-45'],
  [3.4028235e38, '3.4028235e+38'],
  [0.1, '0.1'],
])('the float4 %d is written as %s', (value, text) => {
  expect(float4Output({ bytes: single(value)[1], start: 0, end: 4 })).toBe(text);
});
