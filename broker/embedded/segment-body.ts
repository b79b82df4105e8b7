import {
  constants,
  crc32,
  zstdCompress,
  zstdCompressSync,
  zstdDecompress,
  zstdDecompressSync,
} from 'node:zlib';
import { MillraceError } from '../../errors.ts';

/** Packed records as a row holds them: plain or zstd, with a checksum of what is stored. */
export interface SegmentBody {
  readonly codec: number;
  readonly crc: number;
  readonly body: Uint8Array;
}

export const PLAIN = 0;
export const ZSTD = 1;

/** Below this a frame is hardly smaller than what goes in. */
const COMPRESS_BYTES_MIN = 512;
/** From here on the thread pool is worth the way there: a second core compresses. */
const POOL_BYTES_MIN = 48 * 1024;

const params = { [constants.ZSTD_c_compressionLevel]: 1 };

/** Stores records; a promise only where the thread pool does it. `records` must not change meanwhile. */
export function storeBody(records: Buffer): SegmentBody | Promise<SegmentBody> {
  if (records.length < POOL_BYTES_MIN) return storeBodySync(records);
  return new Promise((resolve, reject) => {
    zstdCompress(records, { params, chunkSize: chunkFor(records) }, (error, frame) =>
      error === null ? resolve(smaller(records, frame)) : reject(error),
    );
  });
}

function storeBodySync(records: Buffer): SegmentBody {
  if (records.length < COMPRESS_BYTES_MIN) return plain(Buffer.from(records));
  return smaller(records, zstdCompressSync(records, { params, chunkSize: chunkFor(records) }));
}

/** One output chunk that mostly suffices: each more is another way to the pool and back. */
const chunkFor = (records: Buffer): number => (records.length >> 1) + 1024;

function smaller(records: Buffer, frame: Buffer): SegmentBody {
  // A copy: the caller may reuse its buffer.
  if (frame.length >= records.length) return plain(Buffer.from(records));
  return { codec: ZSTD, crc: crc32(frame), body: frame };
}

function plain(body: Buffer): SegmentBody {
  return { codec: PLAIN, crc: crc32(body), body };
}

/** The packed records of a row. Throws BROKER_CORRUPT where the checksum does not fit. */
export function loadBody(stored: SegmentBody, size: number): Buffer | Promise<Buffer> {
  check(stored);
  if (stored.codec === PLAIN) return view(stored.body);
  if (size < POOL_BYTES_MIN) return zstdDecompressSync(stored.body, { chunkSize: atLeast64(size) });
  return new Promise((resolve, reject) => {
    zstdDecompress(stored.body, { chunkSize: atLeast64(size) }, (error, records) =>
      error === null ? resolve(records) : reject(error),
    );
  });
}

function check(stored: SegmentBody): void {
  if (crc32(stored.body) === stored.crc) return;
  throw new MillraceError('BROKER_CORRUPT', 'Stored records do not fit their checksum.', {
    place: 'broker.sqlite',
  });
}

const view = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The least chunk that zlib takes; one more byte, so that the end of the frame is seen at once. */
const atLeast64 = (size: number): number => Math.max(64, size + 1);
