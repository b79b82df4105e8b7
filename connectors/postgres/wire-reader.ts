import { MillraceError } from '../../errors.ts';

/** Reads Postgres' wire format, big-endian, in messages that are not many. Never past their end. */
export class WireReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get done(): boolean {
    return this.#at === this.#end;
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#take(2));
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  int64(): bigint {
    return this.#bytes.readBigInt64BE(this.#take(8));
  }

  /** Text that a zero byte ends. */
  cstring(): string {
    const start = this.#at;
    const zero = this.#bytes.indexOf(0, start);
    this.#take(zero < 0 ? Infinity : zero + 1 - start);
    return this.#bytes.toString('utf8', start, zero);
  }

  /** So many bytes, as a view. */
  slice(size: number): Buffer {
    const start = this.#take(size);
    return this.#bytes.subarray(start, start + size);
  }

  #take(size: number): number {
    const start = this.#at;
    if (size < 0 || start + size > this.#end) {
      throw new MillraceError('PROTOCOL_UNEXPECTED', 'A replication message ends too early.');
    }
    this.#at = start + size;
    return start;
  }
}
