import { closeSync, mkdirSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { RecordCursor } from '../../broker/records.ts';
import { MillraceError } from '../../errors.ts';
import type { RowPlace } from './key-table.ts';

// A block: u32 owner, u32 size, then packed records.
const BLOCK_HEAD_BYTES = 8;
const TAIL_BYTES = 1024 * 1024;
const SCRATCH_BYTES = 1024 * 1024;

interface Segment {
  readonly descriptor: number;
  /** Bytes given out, those still in the tail included. */
  bytes: number;
  /** Bytes of rows that are still some key's newest. */
  live: number;
}

export interface RowLogOptions {
  readonly directory: string;
  /** A segment that has reached this size takes no more rows. */
  readonly segmentBytes?: number | undefined;
}

/**
 * The newest row of each key, on disk: packed records in append-only segments, in blocks behind the
 * number of the partition that owns them.
 *
 * Where a row will be is known before its block is appended: {@link segment} and {@link offset} say where
 * the first record of the next block goes, the others follow.
 *
 * The rows are a copy of what the `.latest` topics hold, so nothing is ever synced, and each file loses
 * its name as soon as it is open: the system frees it whichever way the process ends. When less than
 * half of all is live, the emptiest segment is given up and its live rows move to the end, one segment
 * at a time, so that disk use stays below twice the rows (and a few segments), and no call waits long.
 *
 * Reads and writes are synchronous: they are calls into the page cache from a synchronous hot path.
 */
export class RowLog implements Disposable {
  readonly #directory: string;
  readonly #segmentBytes: number;
  readonly #segments = new Map<number, Segment>();
  #newest: Segment | null = null;
  #number = -1;
  #tail = Buffer.alloc(0);
  #tailStart = 0;
  #tailEnd = 0;
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #bytes = 0;
  #live = 0;

  constructor({ directory, segmentBytes = 16 * 1024 * 1024 }: RowLogOptions) {
    this.#directory = directory;
    this.#segmentBytes = segmentBytes;
  }

  /** Bytes of all segments, garbage included. */
  get bytes(): number {
    return this.#bytes;
  }

  get live(): number {
    return this.#live;
  }

  /** Segment of the next block. */
  get segment(): number {
    return this.#number;
  }

  /** Offset of the first record of the next block. */
  get offset(): number {
    return (this.#newest?.bytes ?? 0) + BLOCK_HEAD_BYTES;
  }

  /** Makes sure that there is a segment for the next block. To be called before asking where it goes. */
  begin(): void {
    const segment = this.#newest;
    if (segment === null || segment.bytes >= this.#segmentBytes) this.#newest = this.#open();
  }

  /** Appends a block of packed records. Which of them are rows that count is said by {@link claim}. */
  append(owner: number, records: Buffer): void {
    const segment = this.#newest;
    if (segment === null) throw new Error('the row log was not begun');
    const size = BLOCK_HEAD_BYTES + records.length;
    if (this.#tailEnd + size > TAIL_BYTES) this.#flush(segment);
    this.#tailEnd = this.#tail.writeUInt32LE(owner, this.#tailEnd);
    this.#tailEnd = this.#tail.writeUInt32LE(records.length, this.#tailEnd);
    if (size > TAIL_BYTES) {
      this.#flush(segment);
      this.#write(segment, records, this.#tailStart);
      this.#tailStart += records.length;
    } else this.#tailEnd += records.copy(this.#tail, this.#tailEnd);
    segment.bytes += size;
    this.#bytes += size;
  }

  /** Stands the cursor on a row of a block that was appended: valid until the next call of anything here. */
  read(place: RowPlace, cursor: RecordCursor): RecordCursor {
    const { segment, offset, length } = place;
    if (segment === this.#number && offset >= this.#tailStart) {
      return cursor.stand(this.#tail, offset - this.#tailStart);
    }
    // A larger row gets a buffer of its own, which goes when it was used.
    const isLarge = length > SCRATCH_BYTES;
    const into = isLarge ? Buffer.allocUnsafeSlow(length) : this.#scratch;
    this.#read(this.#segment(segment), { into, length }, offset);
    return cursor.stand(into, 0);
  }

  /** A record of that length in the next block, or the one just appended, is some key's newest row. */
  claim(length: number): void {
    if (this.#newest !== null) this.#newest.live += length;
    this.#live += length;
  }

  /** The row there is no longer needed. */
  release(place: RowPlace): void {
    const segment = this.#segment(place.segment);
    segment.live -= place.length;
    this.#live -= place.length;
    if (segment.live === 0 && segment !== this.#newest) this.#drop(place.segment, segment);
  }

  /**
   * Gives up the emptiest segment if more than half of all is garbage. `keep` is called for each row
   * in it, and appends those that are still wanted again; it must not release them. The cursor's place
   * in its buffer is the row's in the segment.
   */
  tidy(keep: (owner: number, cursor: RecordCursor, segment: number) => void): boolean {
    if (this.#bytes - this.#live <= Math.max(this.#live, 2 * this.#segmentBytes)) return false;
    let worst = -1;
    let share = 1;
    for (const [number, { bytes, live }] of this.#segments) {
      if (number === this.#number || live / bytes >= share) continue;
      worst = number;
      share = live / bytes;
    }
    if (worst < 0) return false;
    const segment = this.#segment(worst);
    const content = Buffer.allocUnsafeSlow(segment.bytes);
    this.#read(segment, { into: content, length: content.length }, 0);
    for (let at = 0; at < content.length;) {
      const owner = content.readUInt32LE(at);
      const start = at + BLOCK_HEAD_BYTES;
      at = start + content.readUInt32LE(at + 4);
      const cursor = new RecordCursor(content, at);
      cursor.end = start;
      while (cursor.next()) keep(owner, cursor, worst);
    }
    this.#live -= segment.live;
    this.#drop(worst, segment);
    return true;
  }

  [Symbol.dispose](): void {
    for (const { descriptor } of this.#segments.values()) closeSync(descriptor);
    this.#segments.clear();
    this.#newest = null;
    this.#bytes = 0;
    this.#live = 0;
  }

  #open(): Segment {
    if (this.#newest === null) this.#tail = Buffer.allocUnsafeSlow(TAIL_BYTES);
    else {
      this.#flush(this.#newest);
      if (this.#newest.live === 0) this.#drop(this.#number, this.#newest);
    }
    const path = join(this.#directory, `rows-${randomUUID()}`);
    const descriptor = this.#guard('open', () => {
      mkdirSync(this.#directory, { recursive: true });
      const opened = openSync(path, 'wx+', 0o600);
      unlinkSync(path);
      return opened;
    });
    const segment = { descriptor, bytes: 0, live: 0 };
    this.#segments.set(++this.#number, segment);
    this.#tailStart = 0;
    return segment;
  }

  #flush(segment: Segment): void {
    this.#write(segment, this.#tail.subarray(0, this.#tailEnd), this.#tailStart);
    this.#tailStart += this.#tailEnd;
    this.#tailEnd = 0;
  }

  #write({ descriptor }: Segment, bytes: Buffer, position: number): void {
    this.#guard('write', () => {
      for (let done = 0; done < bytes.length;) {
        done += writeSync(descriptor, bytes, done, bytes.length - done, position + done);
      }
    });
  }

  #read(
    { descriptor }: Segment,
    { into, length }: { readonly into: Buffer; readonly length: number },
    position: number,
  ): void {
    this.#guard('read', () => {
      for (let done = 0; done < length;) {
        const count = readSync(descriptor, into, done, length - done, position + done);
        if (count === 0) throw new Error('the file is shorter than what was written to it');
        done += count;
      }
    });
  }

  #drop(number: number, { descriptor, bytes }: Segment): void {
    this.#segments.delete(number);
    this.#bytes -= bytes;
    closeSync(descriptor);
  }

  #segment(number: number): Segment {
    const segment = this.#segments.get(number);
    if (segment === undefined) throw new Error(`the row log has no segment ${number}`);
    return segment;
  }

  #guard<T>(act: string, run: () => T): T {
    try {
      return run();
    } catch (cause) {
      throw new MillraceError('STATE_UNUSABLE', `could not ${act} a file of rows`, {
        place: this.#directory,
        cause,
      });
    }
  }
}
