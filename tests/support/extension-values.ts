import * as fc from 'fast-check';

/** Single precision as text: any, short ones, and those of which two decimals are equally near. */
const single = fc
  .oneof(
    fc.float({ noDefaultInfinity: true, noNaN: true }),
    fc.integer({ min: -99_999, max: 99_999 }).map((value) => Math.fround(value / 10_000)),
    fc.integer({ min: 2 ** 21, max: 2 ** 22 }).map((value) => value + 0.25),
    fc.integer({ min: -149, max: 127 }).map((power) => 2 ** power),
  )
  .map((value) => (Object.is(value, -0) ? '-0' : value.toPrecision(9)));

const half = fc
  .oneof(fc.double({ min: -65_504, max: 65_504, noNaN: true }), fc.integer({ min: -99, max: 99 }))
  .map((value) => (Object.is(value, -0) ? '-0' : String(value)));

const dense = (number: fc.Arbitrary<string>, size?: number): fc.Arbitrary<string> =>
  fc
    .array(number, { minLength: size ?? 1, maxLength: size ?? 9 })
    .map((numbers) => `[${numbers.join(',')}]`);

const sparse = (dimensions: fc.Arbitrary<number>): fc.Arbitrary<string> =>
  dimensions.chain((count) =>
    fc
      .uniqueArray(fc.tuple(fc.integer({ min: 1, max: count }), single), {
        maxLength: 5,
        selector: ([place]) => place,
      })
      .map((entries) => `{${entries.map(([at, value]) => `${at}:${value}`).join(',')}}/${count}`),
  );

/** Values of the types of pgvector. */
export const vectors: Readonly<Record<string, fc.Arbitrary<string>>> = {
  vector: dense(single),
  'vector(3)': dense(single, 3),
  halfvec: dense(half),
  'halfvec(2)': dense(half, 2),
  sparsevec: sparse(
    fc.oneof(fc.integer({ min: 1, max: 99 }), fc.constantFrom(32_767, 32_768, 1e9)),
  ),
  'sparsevec(300)': sparse(fc.constant(300)),
  'sparsevec(40000)': sparse(fc.constant(40_000)),
  'vector[]': fc
    .array(fc.option(dense(single)), { maxLength: 4 })
    .map((items) => `{${items.map((item) => (item === null ? 'NULL' : `"${item}"`)).join(',')}}`),
};

const place = (far: number): fc.Arbitrary<string> =>
  fc.double({ min: -far, max: far, noNaN: true }).map((value) => String(value === 0 ? 0 : value));
const point = (far: number): fc.Arbitrary<string> =>
  fc.tuple(place(far), place(far / 2)).map(([x, y]) => `${x} ${y}`);

const shapes = (far: number): fc.Arbitrary<string> =>
  fc.oneof(
    point(far).map((at) => `POINT(${at})`),
    fc.array(point(far), { minLength: 2, maxLength: 5 }).map((all) => `LINESTRING(${all.join()})`),
    fc
      .tuple(point(far), point(far), point(far))
      .map(([a, b, c]) => `POLYGON((${a},${b},${c},${a}))`),
    fc.array(point(far), { minLength: 1, maxLength: 4 }).map((all) => `MULTIPOINT(${all.join()})`),
    fc.constantFrom(
      'POINT EMPTY',
      'POINT Z (1 2 3)',
      'POINT M (1 2 3)',
      'POINT ZM (1 2 3 4)',
      'GEOMETRYCOLLECTION EMPTY',
      'GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))',
      'CIRCULARSTRING(0 0,1 1,2 0)',
    ),
  );

const projected = (shape: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.tuple(fc.constantFrom('', 'SRID=4326;', 'SRID=3857;'), shape).map((parts) => parts.join(''));

/** Values of the types of PostGIS. */
export const geometries: Readonly<Record<string, fc.Arbitrary<string>>> = {
  geometry: projected(shapes(1e6)),
  'geometry(Point,4326)': point(180).map((at) => `SRID=4326;POINT(${at})`),
  // Edges from one end of the earth to the other are none.
  geography: shapes(80).filter((shape) => !shape.startsWith('CIRCULAR')),
  'geometry[]': fc
    .array(fc.option(projected(shapes(1e6))), { maxLength: 3 })
    .map((items) => `{${items.map((item) => (item === null ? 'NULL' : `"${item}"`)).join(':')}}`),
  'geography(Point)': point(180).map((at) => `POINT(${at})`),
};
