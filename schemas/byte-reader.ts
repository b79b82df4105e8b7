/**
 * A read position over a buffer, and the Avro primitives that come out of it.
 *
 * It does not check for the end: whoever reads bytes that others wrote compares `position` with the end
 * after a whole value, as `EnvelopeReader` does.
 */
export class ByteReader {
  bytes: Buffer;
  position: number;

  constructor(bytes: Buffer = Buffer.alloc(0), position = 0) {
    this.bytes = bytes;
    this.position = position;
  }

  /** Points the reader at other bytes, so that one reader serves a whole batch. */
  at(bytes: Buffer, position: number): this {
    this.bytes = bytes;
    this.position = position;
    return this;
  }

  /** Avro `int`, and `long` where the schema promises |value| < 2^53. */
  long(): number {
    const { bytes } = this;
    let at = this.position;
    let byte = bytes[at++] as number;
    let low = byte & 0x7f;
    let shift = 7;
    while (byte > 0x7f && shift < 28) {
      byte = bytes[at++] as number;
      low |= (byte & 0x7f) << shift;
      shift += 7;
    }
    if (byte <= 0x7f) {
      this.position = at;
      return (low >>> 1) ^ -(low & 1);
    }
    // Half of the zigzag number, added up without its lowest bit (the sign): the whole of it may have
    // 54 bits, which a float does not hold.
    let half = low >>> 1;
    let scale = 2 ** 27;
    while (byte > 0x7f) {
      byte = bytes[at++] as number;
      half += (byte & 0x7f) * scale;
      scale *= 128;
    }
    this.position = at;
    return low & 1 ? -half - 1 : half;
  }

  /** Avro `long`, every 64-bit value. */
  bigint(): bigint {
    const start = this.position;
    const { bytes } = this;
    let end = start;
    while ((bytes[end] as number) > 0x7f) end++;
    if (end - start < 7) return BigInt(this.long());
    let unsigned = 0n;
    for (let at = end; at >= start; at--) {
      unsigned = (unsigned << 7n) | BigInt((bytes[at] as number) & 0x7f);
    }
    this.position = end + 1;
    return BigInt.asIntN(64, (unsigned >> 1n) ^ -(unsigned & 1n));
  }

  skipLong(): void {
    const { bytes } = this;
    while ((bytes[this.position++] as number) > 0x7f);
  }

  boolean(): boolean {
    return this.bytes[this.position++] === 1;
  }

  float(): number {
    const value = this.bytes.readFloatLE(this.position);
    this.position += 4;
    return value;
  }

  double(): number {
    const value = this.bytes.readDoubleLE(this.position);
    this.position += 8;
    return value;
  }

  string(): string {
    const size = this.long();
    const start = this.position;
    this.position = start + size;
    return this.bytes.toString('utf8', start, start + size);
  }

  /** A view of the bytes, not a copy. */
  slice(): Buffer {
    const size = this.long();
    const start = this.position;
    this.position = start + size;
    return this.bytes.subarray(start, start + size);
  }

  skipSlice(): void {
    const size = this.long();
    this.position += size;
  }
}
