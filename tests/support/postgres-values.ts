import * as fc from 'fast-check';
import { otherScalars } from './postgres-other-values.ts';
import { int, pad, text, time } from './postgres-samples.ts';

const float = (single: boolean): fc.Arbitrary<string> =>
  (single ? fc.float() : fc.double()).map((value) => (Object.is(value, -0) ? '-0' : String(value)));

const numeric = (precision: number, scale: number): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc
        .integer({ min: 1, max: precision })
        .chain((digits) =>
          fc.bigInt({ min: -(10n ** BigInt(digits)) + 1n, max: 10n ** BigInt(digits) - 1n }),
        ),
      fc.constant(scale),
    )
    .map(([unscaled, places]) => {
      const text = String(unscaled < 0n ? -unscaled : unscaled).padStart(places + 1, '0');
      const point = text.length - places;
      const sign = unscaled < 0n ? '-' : '';
      return places === 0 ? sign + text : `${sign}${text.slice(0, point)}.${text.slice(point)}`;
    });

const anyNumeric = fc
  .tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 40 }))
  .chain(([digits, scale]) => numeric(digits, scale));

const date = (lastYear: number): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.oneof(
        fc.integer({ min: 1900, max: 2100 }),
        fc.integer({ min: -4711, max: lastYear }),
        fc.constantFrom(-43, 0, 1, 4, 1582, 9999, 10_000, lastYear),
      ),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 28 }),
    )
    .map(([year, month, day]) => {
      const positive = year > 0 ? year : 1 - year;
      return `${pad(positive, 4)}-${pad(month)}-${pad(day)}${year > 0 ? '' : ' BC'}`;
    });

const stamp = (digits: number, lastYear = 294_000): fc.Arbitrary<string> =>
  fc.tuple(date(lastYear), time(digits)).map(([day, clock]) => {
    const bc = day.endsWith(' BC');
    return `${bc ? day.slice(0, -3) : day} ${clock}${bc ? ' BC' : ''}`;
  });

const infinite = (finite: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 20, arbitrary: finite },
    { weight: 1, arbitrary: fc.constantFrom('infinity', '-infinity') },
  );

const hex = fc
  .uint8Array({ maxLength: 80 })
  .map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`);
const json = fc.json();

const array = (item: fc.Arbitrary<string>, delimiter = ','): fc.Arbitrary<string> =>
  fc
    .array(fc.option(item, { freq: 5 }), { maxLength: 6 })
    .map(
      (items) =>
        `{${items.map((each) => (each === null ? 'NULL' : `"${each.replaceAll(/["\\]/g, '\\$&')}"`)).join(delimiter)}}`,
    );

/** Values of every type that has a codec, as Postgres reads them, by the type's name. */
export const scalars: Readonly<Record<string, fc.Arbitrary<string>>> = {
  bool: fc.constantFrom('t', 'f'),
  int2: int(16),
  int4: int(32),
  int8: int(64),
  oid: fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }).map(String),
  float4: float(true),
  float8: float(false),
  'numeric(12,2)': numeric(12, 2),
  'numeric(38,10)': numeric(38, 10),
  'numeric(20,0)': numeric(20, 0),
  'numeric(4,4)': numeric(4, 4),
  'numeric(5,-2)': fc.integer({ min: -99_999, max: 99_999 }).map((value) => `${value}00`),
  'numeric(3,5)': fc.integer({ min: -999, max: 999 }).map((value) => `${value}e-5`),
  numeric: fc.oneof(
    { weight: 9, arbitrary: anyNumeric },
    { weight: 1, arbitrary: fc.constantFrom('NaN', 'Infinity', '-Infinity') },
  ),
  text,
  'varchar(9)': text.map((value) => Array.from(value).slice(0, 9).join('')),
  'char(5)': text.map((value) => Array.from(value).slice(0, 5).join('')),
  name: fc.string({ maxLength: 60 }).map((value) => value.replaceAll('\0', '')),
  citext: text,
  bytea: hex,
  uuid: fc.uuid(),
  json,
  jsonb: json.filter((value) => !value.includes('\\u0000')),
  mood: fc.constantFrom('sad', 'ok', 'very happy'),
  date: infinite(date(5_874_000)),
  time: fc.oneof(time(6), fc.constant('24:00:00')),
  'time(0)': fc.oneof(time(0), fc.constant('24:00:00')),
  'time(3)': time(3),
  'time(4)': time(4),
  timestamp: infinite(stamp(6, 294_275)),
  'timestamp(0)': infinite(stamp(0)),
  'timestamp(3)': infinite(stamp(3)),
  'timestamp(5)': infinite(stamp(5)),
  timestamptz: infinite(stamp(6)),
  'timestamptz(0)': infinite(stamp(0)),
  'timestamptz(3)': infinite(stamp(3)),
  ...otherScalars,
};

export const arrays = Object.fromEntries(
  Object.entries(scalars).map(([type, values]) => [
    `${type}[]`,
    array(values, type === 'box' ? ';' : ','),
  ]),
);

const rows = (item: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .tuple(fc.integer({ min: 1, max: 3 }), fc.array(item, { minLength: 6, maxLength: 6 }))
    .map(
      ([width, items]) =>
        `{{${items.slice(0, width).join()}},{${items.slice(3, 3 + width).join()}}}`,
    );

/** Arrays with other bounds, and with other dimensions than declared. */
export const oddArrays: Readonly<Record<string, fc.Arbitrary<string>>> = {
  'int4[][]': fc.oneof(rows(int(32)), fc.constantFrom('{}', '{1,2}', '[2:3][0:0]={{1},{2}}')),
  'text[]': fc.constantFrom('[0:1]={a,"b c"}', '{{a},{b}}', '[-1:-1][5:5]={{NULL}}'),
  'float8[]': fc
    .array(fc.double(), { minLength: 1, maxLength: 4 })
    .map((items) => `[3:${2 + items.length}]={${items.join()}}`),
  'timestamp[]': fc.constant('{294276-12-31 23:59:59.999999,NULL,2024-01-01 00:00:00}'),
};
