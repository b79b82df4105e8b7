import type { ByteWriter } from '../../../schemas/byte-writer.ts';
import { malformed, type Cell, type TypeCodec } from './type-codec.ts';

/**
 * geometry and geography of PostGIS, as Debezium has them: PostGIS' own extended well-known binary, and
 * the number of the reference system once more by itself.
 *
 * ```
 * u8 order: 0 big-endian, 1 little-endian   u32 kind, with a bit for Z, M and the reference system
 * u32 reference system, if it has one   the coordinates
 * ```
 */
export const geometryCodec = ewkbCodec('geometry');
export const geographyCodec = ewkbCodec('geography');

const HAS_SRID = 0x2000_0000;

function ewkbCodec(kind: 'geometry' | 'geography'): TypeCodec {
  const write = ({ bytes, start, end }: Cell, out: ByteWriter): void => {
    out.slice(bytes, start, end);
    writeSrid(bytes, start, out);
    // A geometry has room for extensions, which Debezium uses for box and polygon.
    if (kind === 'geometry') out.byte(0);
  };
  return {
    semantic: { kind },
    binary: write,
    text(cell, out) {
      const bytes = Buffer.from(cell.bytes.toString('latin1', cell.start, cell.end), 'hex');
      if (bytes.length * 2 !== cell.end - cell.start) throw malformed('hexadecimal digits');
      write({ bytes, start: 0, end: bytes.length }, out);
    },
  };
}

function writeSrid(bytes: Buffer, start: number, out: ByteWriter): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + start);
  const little = view.getUint8(0) === 1;
  if ((view.getUint32(1, little) & HAS_SRID) === 0) return out.byte(0);
  out.byte(2);
  out.long(view.getInt32(5, little));
}
