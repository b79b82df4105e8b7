/**
 * Cuts the bytes of a connection into messages of the frontend/backend protocol (PostgreSQL, "Message
 * Formats"), without copying those that arrive whole:
 *
 * ```
 * u8 type  i32 length, itself included  content
 * ```
 *
 * A cursor: `next` moves to the next whole message and says whether there is one; its fields describe
 * that message until `push` is called.
 */
export class MessageReader {
  bytes: Buffer = EMPTY;
  type = 0;
  /** Of the content. */
  start = 0;
  end = 0;
  /** Where unread bytes begin, and where all bytes end. */
  #at = 0;
  #limit = 0;
  /** Where torn messages are put together, used over and over. */
  #own: Buffer = EMPTY;

  next(): boolean {
    const { bytes } = this;
    const at = this.#at;
    if (this.#limit - at < HEAD_BYTES) return false;
    const end = at + 1 + bytes.readInt32BE(at + 1);
    if (end > this.#limit) return false;
    this.type = bytes[at] as number;
    this.start = at + HEAD_BYTES;
    this.end = end;
    this.#at = end;
    return true;
  }

  /** What comes after the message it stands on. */
  get unread(): Buffer {
    return this.bytes.subarray(this.#at, this.#limit);
  }

  /** Adds a chunk; the reader keeps it and never writes to it. */
  push(chunk: Buffer): void {
    const rest = this.#limit - this.#at;
    if (rest === 0) {
      this.bytes = chunk;
      this.#at = 0;
      this.#limit = chunk.length;
      return;
    }
    this.#makeRoom(rest, chunk.length);
    chunk.copy(this.bytes, this.#limit);
    this.#limit += chunk.length;
  }

  /** Room for the whole of a message that came in part, so that a large one is not copied per chunk. */
  #makeRoom(rest: number, size: number): void {
    if (this.bytes === this.#own && this.#limit + size <= this.#own.length) return;
    const begun = rest >= HEAD_BYTES ? 1 + this.bytes.readInt32BE(this.#at + 1) : 0;
    const needed = Math.max(begun, rest) + size;
    const kept = this.#own;
    if (kept.length < needed || (kept.length > BYTES_KEPT && needed < BYTES_KEPT)) {
      this.#own = Buffer.allocUnsafeSlow(Math.max(needed, BYTES_INITIAL));
    }
    this.bytes.copy(this.#own, 0, this.#at, this.#limit);
    this.bytes = this.#own;
    this.#at = 0;
    this.#limit = rest;
  }
}

const BYTES_INITIAL = 256 * 1024;
const BYTES_KEPT = 1024 * 1024;
const HEAD_BYTES = 5;
const EMPTY = Buffer.alloc(0);
