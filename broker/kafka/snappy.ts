import { copyBack } from './lz4.ts';

/**
 * Snappy, for topics that others write: "Snappy compressed format description". Java clients cut it into
 * blocks in the framing of the xerial library (magic, two versions, then size and block); librdkafka does not.
 */
const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);

export function decompressSnappy(bytes: Buffer): Buffer {
  if (!bytes.subarray(0, XERIAL.length).equals(XERIAL)) return decompressBlock(bytes);
  const blocks: Buffer[] = [];
  for (let at = XERIAL.length + 8; at < bytes.length;) {
    const size = bytes.readInt32BE(at);
    blocks.push(decompressBlock(bytes.subarray(at + 4, at + 4 + size)));
    at += 4 + size;
  }
  return Buffer.concat(blocks);
}

function decompressBlock(block: Buffer): Buffer {
  let at = 0;
  let size = 0;
  for (let shift = 0, byte = 0x80; byte >= 0x80; shift += 7) {
    byte = block.readUInt8(at++);
    size += (byte & 0x7f) * 2 ** shift;
  }
  const out = Buffer.allocUnsafe(size);
  let end = 0;
  while (at < block.length) {
    const tag = block.readUInt8(at++);
    const high = tag >> 2;
    switch (tag & 3) {
      case 0: {
        const extra = high < 60 ? 0 : high - 59;
        const length = (extra === 0 ? high : block.readUIntLE(at, extra)) + 1;
        at += extra;
        if (end + length > size || at + length > block.length) throw new RangeError('Snappy');
        end += block.copy(out, end, at, at + length);
        at += length;
        break;
      }
      case 1: {
        const distance = ((tag >> 5) << 8) | block.readUInt8(at++);
        end = copyBack(out, { end, distance, length: (high & 7) + 4 });
        break;
      }
      case 2:
        end = copyBack(out, { end, distance: block.readUInt16LE(at), length: high + 1 });
        at += 2;
        break;
      default:
        end = copyBack(out, { end, distance: block.readUInt32LE(at), length: high + 1 });
        at += 4;
    }
  }
  if (end !== size) throw new RangeError('a Snappy block is cut');
  return out;
}
