import type { ByteWriter } from '../../../schemas/byte-writer.ts';
import { view } from './output/output.ts';
import { malformed, textOf, type Cell, type TypeCodec } from './type-codec.ts';

type Read = (cell: Cell) => readonly number[];

const [WKB_POINT, WKB_POLYGON] = [1, 3];

/** point: its coordinates, and the same as well-known binary without a reference system. */
export const pointCodec = geometryCodec('point', doubles(0), ([x = 0, y = 0], out) => {
  out.double(x);
  out.double(y);
  out.byte(2);
  const wkb = wellKnown(WKB_POINT, 16);
  wkb.writeDoubleLE(x, 5);
  wkb.writeDoubleLE(y, 13);
  out.slice(wkb);
  out.byte(0);
});

/** box: the ring of its four corners. */
export const boxCodec = geometryCodec(
  'geometry',
  doubles(0),
  ([right = 0, top = 0, left = 0, bottom = 0], out) => {
    const ring = [right, top, right, bottom, left, bottom, left, top, right, top];
    writeRing(ring, { type: 'box' }, out);
  },
);

/**
 * polygon: its points, and the first once more if the last is another. A polygon that repeats its first
 * point itself would read as one that does not; it says how many points it has.
 */
export const polygonCodec = geometryCodec('geometry', doubles(4), (points, out) => {
  const [x = 0, y = 0] = points;
  const closed = points.at(-2) === x && points.at(-1) === y;
  const ring = closed ? points : [...points, x, y];
  const count = points.length / 2;
  const extensions = { type: 'polygon' };
  writeRing(ring, closed && count > 1 ? { ...extensions, points: String(count) } : extensions, out);
});

function geometryCodec(
  kind: 'point' | 'geometry',
  read: Read,
  write: (numbers: readonly number[], out: ByteWriter) => void,
): TypeCodec {
  return {
    semantic: { kind },
    binary(cell, out) {
      write(read(cell), out);
    },
    text(cell, out) {
      const numbers = textOf(cell)
        .match(/[-+.\w]+/g)
        ?.map(Number);
      if (numbers === undefined || numbers.length % 2 !== 0) throw malformed('points as `(x,y)`');
      write(numbers, out);
    },
  };
}

/** All that follows the first bytes, as float8. */
function doubles(from: number): Read {
  return (cell) => {
    const data = view(cell);
    return Array.from({ length: (data.byteLength - from) / 8 }, (_, at) =>
      data.getFloat64(from + 8 * at),
    );
  };
}

/** A header: little-endian, the kind of geometry; then room. OGC 06-103r4, "Well-known Binary". */
function wellKnown(kind: number, room: number): Buffer {
  const wkb = Buffer.alloc(5 + room);
  wkb[0] = 1;
  wkb.writeUInt32LE(kind, 1);
  return wkb;
}

function writeRing(
  points: readonly number[],
  extensions: Readonly<Record<string, string>>,
  out: ByteWriter,
): void {
  const wkb = wellKnown(WKB_POLYGON, 8 + 8 * points.length);
  wkb.writeUInt32LE(1, 5);
  wkb.writeUInt32LE(points.length / 2, 9);
  points.forEach((number, at) => wkb.writeDoubleLE(number, 13 + 8 * at));
  out.slice(wkb);
  out.byte(0);
  out.byte(2);
  const entries = Object.entries(extensions);
  out.long(entries.length);
  for (const [name, value] of entries) {
    out.string(name);
    out.string(value);
  }
  out.byte(0);
}
