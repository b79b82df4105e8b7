import { ByteWriter } from '../../schemas/byte-writer.ts';

/**
 * Kafka's primitive types, big-endian; "compact" ones are of the flexible versions of messages.
 *
 * Source: the Kafka protocol guide, "Protocol Primitive Types"; KIP-482 for flexible versions.
 */
export class WireWriter {
  readonly out: ByteWriter;

  constructor(bytesInitial = 1024) {
    this.out = new ByteWriter(bytesInitial);
  }

  int8(value: number): this {
    this.out.byte(value & 0xff);
    return this;
  }

  int16(value: number): this {
    this.out.reserve(2);
    this.out.position = this.out.bytes.writeInt16BE(value, this.out.position);
    return this;
  }

  int32(value: number): this {
    this.out.reserve(4);
    this.out.position = this.out.bytes.writeInt32BE(value, this.out.position);
    return this;
  }

  int64(value: bigint | number): this {
    this.out.reserve(8);
    this.out.position = this.out.bytes.writeBigInt64BE(BigInt(value), this.out.position);
    return this;
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0);
  }

  string(value: string | null): this {
    if (value === null) return this.int16(-1);
    const bytes = Buffer.from(value);
    this.int16(bytes.length).out.raw(bytes);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.int32(value.length).out.raw(value);
    return this;
  }

  array<T>(items: readonly T[], write: (item: T) => void): this {
    this.int32(items.length);
    for (const item of items) write(item);
    return this;
  }

  unsigned(value: number): this {
    let left = value >>> 0;
    for (; left > 0x7f; left >>>= 7) this.out.byte((left & 0x7f) | 0x80);
    this.out.byte(left);
    return this;
  }

  compactString(value: string | null): this {
    if (value === null) return this.unsigned(0);
    const bytes = Buffer.from(value);
    this.unsigned(bytes.length + 1).out.raw(bytes);
    return this;
  }

  compactArray<T>(items: readonly T[], write: (item: T) => void): this {
    this.unsigned(items.length + 1);
    for (const item of items) write(item);
    return this;
  }

  /** Tagged fields: we send none. */
  noTags(): this {
    return this.unsigned(0);
  }
}

/** Reads what {@link WireWriter} writes, front to back. */
export class WireReader {
  readonly bytes: Buffer;
  position: number;

  constructor(bytes: Buffer, position = 0) {
    this.bytes = bytes;
    this.position = position;
  }

  int8(): number {
    return this.bytes.readInt8(this.position++);
  }

  int16(): number {
    this.position += 2;
    return this.bytes.readInt16BE(this.position - 2);
  }

  int32(): number {
    this.position += 4;
    return this.bytes.readInt32BE(this.position - 4);
  }

  int64(): bigint {
    this.position += 8;
    return this.bytes.readBigInt64BE(this.position - 8);
  }

  /** An offset or a size: below 2^53. */
  long(): number {
    return Number(this.int64());
  }

  boolean(): boolean {
    return this.int8() !== 0;
  }

  string(): string | null {
    return this.#text(this.int16());
  }

  bytesOf(): Buffer {
    return this.slice(Math.max(this.int32(), 0));
  }

  slice(size: number): Buffer {
    this.position += size;
    return this.bytes.subarray(this.position - size, this.position);
  }

  array<T>(read: () => T): T[] {
    return this.#list(this.int32(), read);
  }

  unsigned(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.bytes.readUInt8(this.position++);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
  }

  compactString(): string | null {
    return this.#text(this.unsigned() - 1);
  }

  compactArray<T>(read: () => T): T[] {
    return this.#list(this.unsigned() - 1, read);
  }

  /** Passes over tagged fields, which we know none of. */
  skipTags(): void {
    for (let left = this.unsigned(); left > 0; left--) {
      this.unsigned();
      this.position += this.unsigned();
    }
  }

  #text(size: number): string | null {
    return size < 0 ? null : this.slice(size).toString('utf8');
  }

  #list<T>(count: number, read: () => T): T[] {
    const items: T[] = [];
    for (let left = count; left > 0; left--) items.push(read());
    return items;
  }
}
