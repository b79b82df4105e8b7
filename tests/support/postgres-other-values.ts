import * as fc from 'fast-check';
import { int, text, time } from './postgres-samples.ts';

const small = fc.integer({ min: -50, max: 50 });

const interval = fc
  .tuple(
    fc.oneof(fc.constant(0), fc.integer({ min: -3000, max: 3000 })),
    fc.oneof(fc.constant(0), fc.integer({ min: -4000, max: 4000 })),
    fc.oneof(fc.constant(0), fc.integer({ min: -1e15, max: 1e15 })),
  )
  .map(([months, days, micros]) => `${months} months ${days} days ${micros} microseconds`);

const byte = fc.integer({ min: 0, max: 255 });
const group = fc.oneof(
  fc.constant('0'),
  fc.integer({ min: 0, max: 0xffff }).map((value) => value.toString(16)),
);
const address = (mask: number): fc.Arbitrary<string> =>
  fc
    .tuple(byte, byte, byte, byte, fc.integer({ min: mask, max: 32 }))
    .map(([a, b, c, d, bits]) => `${a}.${b}.${c}.${d}/${bits}`);
const address6 = (mask: number): fc.Arbitrary<string> =>
  fc.oneof(
    fc
      .tuple(fc.array(group, { minLength: 8, maxLength: 8 }), fc.integer({ min: mask, max: 128 }))
      .map(([groups, bits]) => `${groups.join(':')}/${bits}`),
    fc.constantFrom('::', '::1', '::ffff:1.2.3.4', '::1.2.3.4', 'fe80::1', '1::', '1:0:0:2::/128'),
  );
const mac = (size: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: size, maxLength: size }).map((bytes) =>
    Buffer.from(bytes)
      .toString('hex')
      .replaceAll(/(..)(?!$)/g, '$1:'),
  );
const bits = (min: number, max: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom('0', '1'), minLength: min, maxLength: max });

const coordinate = fc.oneof(
  small.map(String),
  fc.double({ noNaN: true }).map((value) => (Object.is(value, -0) ? '-0' : String(value))),
  fc.constantFrom('NaN', 'Infinity', '-Infinity', '1e300', '1e-300', '123456789012345680'),
);
const plainPoint = fc.tuple(small, small).map(([x, y]) => `(${x},${y})`);
const points = fc.array(plainPoint, { minLength: 1, maxLength: 5 });
const [open, close] = [fc.constantFrom('[', '('), fc.constantFrom(']', ')')];

/** A range of values that `order` puts in order; either bound may be missing. */
function range<T>(value: fc.Arbitrary<T>, print: (value: T) => string): fc.Arbitrary<string> {
  return fc.oneof(
    fc.constant('empty'),
    fc.tuple(open, fc.option(value), fc.option(value), close).map(([left, a, b, right]) => {
      const [low, high] =
        a !== null && b !== null && (a as number) > (b as number) ? [b, a] : [a, b];
      return `${left}${low === null ? '' : print(low)},${high === null ? '' : print(high)}${right}`;
    }),
  );
}

const moment = fc.integer({ min: -60_000_000_000, max: 250_000_000_000 });
const isoMoment = (value: number): string =>
  `"${new Date(value * 1000 + (value % 1000)).toISOString().replace(/^\+0*/, '').replace('T', ' ').slice(0, -1)}"`;
const positive = fc.integer({ min: 0, max: 3_000_000_000 });
const intRange = range(fc.integer({ min: -2_000_000_000, max: 2_000_000_000 }), String);
const multi = (of: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.array(of, { maxLength: 4 }).map((ranges) => `{${ranges.join(',')}}`);

const word = fc.string({
  unit: fc.constantFrom('a', 'B', "'", '\\', ' ', 'é', '"', ','),
  minLength: 1,
  maxLength: 6,
});
const hstoreQuoted = (value: string): string => `"${value.replaceAll(/["\\]/g, '\\$&')}"`;
const hstore = fc
  .array(fc.tuple(fc.oneof(word, fc.constant('')), fc.option(text)), { maxLength: 4 })
  .map((pairs) =>
    pairs
      .map(
        ([key, value]) => `${hstoreQuoted(key)}=>${value === null ? 'NULL' : hstoreQuoted(value)}`,
      )
      .join(', '),
  );
const lexeme = fc
  .tuple(
    word,
    fc.array(fc.tuple(fc.integer({ min: 1, max: 16_383 }), fc.constantFrom('', 'A', 'B', 'C')), {
      maxLength: 3,
    }),
  )
  .map(
    ([letters, places]) =>
      `'${letters.replaceAll(/['\\]/g, '$&$&')}'${places.length > 0 ? ':' : ''}${places.map(([place, weight]) => `${place}${weight}`).join(',')}`,
  );

/** Types that travel in a form of their own, or as their text. */
export const otherScalars: Readonly<Record<string, fc.Arbitrary<string>>> = {
  interval,
  inet: fc.oneof(address(0), address6(0)),
  cidr: fc.oneof(
    address(32),
    address6(128),
    fc.constantFrom('10.0.0.0/8', '0.0.0.0/0', '::/0', 'fe80::/10'),
  ),
  macaddr: mac(6),
  macaddr8: mac(8),
  money: fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }).map((cents) => {
    const digits = String(cents < 0n ? -cents : cents).padStart(3, '0');
    return `${cents < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
  }),
  'bit(1)': bits(1, 1),
  'bit(12)': bits(12, 12),
  'varbit(10)': bits(0, 10),
  varbit: bits(0, 70),
  timetz: fc
    .tuple(time(6), fc.constantFrom('+00', '-00:00', '+05:30', '-15:59:59', '+15:59', '-03'))
    .map((parts) => parts.join('')),
  '"char"': fc.constantFrom('a', '', '"', '\\', ' ', '{'),
  xml: fc.constantFrom(
    '',
    '<a>1</a>',
    '<a b="c">é &lt; "x"</a>',
    'plain',
    '<?xml version="1.0"?><a/>',
  ),
  hstore,
  ltree: fc.constantFrom('', 'a', 'a.b.c_1', 'Top.Science'),
  tsvector: fc.array(lexeme, { maxLength: 5 }).map((lexemes) => lexemes.join(' ')),
  jsonpath: fc.constantFrom('$', '$."a"[*]?(@ > 1)', 'strict $.x'),
  pg_lsn: fc
    .bigInt({ min: 0n, max: 2n ** 64n - 1n })
    .map((lsn) => `${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`),
  tid: fc
    .tuple(positive, fc.integer({ min: 0, max: 65_535 }))
    .map(([block, item]) => `(${block},${item})`),
  xid8: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
  int2vector: fc.array(small, { maxLength: 5 }).map((items) => items.join(' ')),
  point: fc.tuple(coordinate, coordinate).map(([x, y]) => `(${x},${y})`),
  box: fc.tuple(plainPoint, plainPoint).map((corners) => corners.join(',')),
  polygon: fc.oneof(
    points.map((each) => `(${each.join(',')})`),
    points.map((each) => `(${[...each, each[0]].join(',')})`),
  ),
  path: fc.oneof(
    points.map((each) => `(${each.join(',')})`),
    points.map((each) => `[${each.join(',')}]`),
  ),
  lseg: fc.tuple(plainPoint, plainPoint).map(([a, b]) => `[${a},${b}]`),
  line: fc
    .tuple(
      small,
      small.filter((b) => b !== 0),
      coordinate,
    )
    .map(([a, b, c]) => `{${a},${b},${c}}`),
  circle: fc.tuple(plainPoint, fc.nat(99)).map(([at, radius]) => `<${at},${radius}>`),
  int4range: intRange,
  int8range: intRange,
  numrange: range(fc.integer({ min: -9999, max: 9999 }), (value) => String(value / 100)),
  daterange: range(fc.integer({ min: 0, max: 20_000 }), (value) =>
    new Date(value * 864e5).toISOString().slice(0, 10),
  ),
  tsrange: range(moment, isoMoment),
  tstzrange: range(moment, isoMoment),
  int4multirange: multi(intRange),
  nummultirange: multi(
    range(fc.integer({ min: -9999, max: 9999 }), (value) => String(value / 100)),
  ),
  int8multirange: multi(intRange),
  datemultirange: multi(
    range(fc.integer({ min: 0, max: 20_000 }), (value) =>
      new Date(value * 864e5).toISOString().slice(0, 10),
    ),
  ),
  tsmultirange: multi(range(moment, isoMoment)),
  tstzmultirange: multi(range(moment, isoMoment)),
  floatrange: range(fc.integer({ min: -9999, max: 9999 }), (value) => `${value}e10`),
  floatmultirange: multi(range(fc.integer({ min: -9999, max: 9999 }), (value) => `${value / 100}`)),
  addr: fc
    .tuple(fc.option(text), fc.option(int(32)), fc.option(time(3)))
    .map(
      (parts) =>
        `(${parts.map((each) => (each === null ? '' : `"${each.replaceAll(/["\\]/g, '$&$&')}"`)).join(',')})`,
    ),
};
