/**
 * The LZ4 frame format, for topics that others write: "LZ4 Frame Format Description" 1.6.x and "LZ4 Block
 * Format Description". Checksums are passed over, as Kafka's batches have one of their own.
 */
const MAGIC = 0x184d2204;

export function decompressLz4(frame: Buffer): Buffer {
  if (frame.readUInt32LE(0) !== MAGIC) throw new RangeError('not an LZ4 frame');
  const flags = frame.readUInt8(4);
  const hasBlockChecksums = (flags & 0x10) !== 0;
  const hasSize = (flags & 0x08) !== 0;
  const hasDictionary = (flags & 0x01) !== 0;
  const blockBytesMax = 1 << (8 + 2 * ((frame.readUInt8(5) >> 4) & 7));
  let at = 7 + (hasSize ? 8 : 0) + (hasDictionary ? 4 : 0);
  let out = Buffer.allocUnsafe(Math.max(4 * frame.length, 1024));
  let end = 0;
  for (;;) {
    const word = frame.readUInt32LE(at);
    at += 4;
    if (word === 0) return out.subarray(0, end);
    const size = word & 0x7fffffff;
    const block = frame.subarray(at, at + size);
    if (block.length < size) throw new RangeError('an LZ4 block is cut');
    at += size + (hasBlockChecksums ? 4 : 0);
    if (out.length - end < blockBytesMax) {
      out = Buffer.concat([out.subarray(0, end)], Math.max(2 * out.length, end + blockBytesMax));
    }
    // The highest bit marks a block that is stored as it is.
    if (word > 0x7fffffff) end += block.copy(out, end);
    else end = decompressBlock(block, out, end);
  }
}

/** Blocks may refer to what earlier blocks of the frame have written. */
function decompressBlock(block: Buffer, out: Buffer, start: number): number {
  let at = 0;
  let end = start;
  const length = (nibble: number): number => {
    let found = nibble;
    if (nibble === 15) {
      for (let byte = 255; byte === 255; found += byte) byte = block.readUInt8(at++);
    }
    return found;
  };
  while (at < block.length) {
    const token = block.readUInt8(at++);
    const literals = length(token >> 4);
    if (at + literals > block.length || end + literals > out.length) throw new RangeError('LZ4');
    end += block.copy(out, end, at, at + literals);
    at += literals;
    // The last sequence has literals only.
    if (at >= block.length) return end;
    const distance = block.readUInt16LE(at);
    at += 2;
    const match = length(token & 15) + 4;
    end = copyBack(out, { end, distance, length: match });
  }
  return end;
}

/** Repeats what was written `distance` bytes ago; it may overlap itself. Shared with Snappy. */
export function copyBack(
  out: Buffer,
  { end, distance, length }: { end: number; distance: number; length: number },
): number {
  if (distance === 0 || distance > end || end + length > out.length) {
    throw new RangeError('a repetition of what is not there');
  }
  if (distance >= length) {
    out.copyWithin(end, end - distance, end - distance + length);
    return end + length;
  }
  for (let index = 0; index < length; index++) {
    out[end + index] = out[end + index - distance] as number;
  }
  return end + length;
}
