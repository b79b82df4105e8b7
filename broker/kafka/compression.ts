import { promisify } from 'node:util';
import {
  constants,
  gunzipSync,
  gzip,
  zstdCompress,
  zstdDecompressSync,
  type ZstdOptions,
} from 'node:zlib';
import { MillraceError } from '../../errors.ts';
import { decompressLz4 } from './lz4.ts';
import type { Compression } from './options.ts';
import { decompressSnappy } from './snappy.ts';

/** Kafka's numbers of codecs, in the attributes of a batch. */
export const codecs = { none: 0, gzip: 1, zstd: 4 } as const satisfies Record<Compression, number>;
const SNAPPY = 2;
const LZ4 = 3;

/** Less than this is not worth a turn of the thread pool, nor much smaller afterwards. */
const COMPRESSED_FROM_BYTES = 1024;

/**
 * Room for the output of one turn of the library. Where all of it fits, a batch is one job of the thread
 * pool; by default it would be one for every 16 KiB.
 */
const ROOM_BYTES_MAX = 4 * 1024 * 1024;
const roomFor = (bytes: number): number => Math.min(Math.max(bytes, 16 * 1024), ROOM_BYTES_MAX);
/** About how much larger records are than what they were compressed to. */
const RATIO = 6;

const ZSTD: ZstdOptions['params'] = { [constants.ZSTD_c_compressionLevel]: 1 };
const compressZstd = promisify(zstdCompress);
const compressGzip = promisify(gzip);

/** In the thread pool; `codec` 0 where it is left as it is. */
export async function compress(
  bytes: Buffer,
  compression: Compression,
): Promise<{ readonly bytes: Buffer; readonly codec: number }> {
  if (bytes.length < COMPRESSED_FROM_BYTES || compression === 'none') return { bytes, codec: 0 };
  const chunkSize = roomFor(bytes.length + 1024);
  const packed =
    compression === 'zstd'
      ? await compressZstd(bytes, { params: ZSTD, chunkSize })
      : await compressGzip(bytes, { level: constants.Z_BEST_SPEED, chunkSize });
  return { bytes: packed, codec: codecs[compression] };
}

/** Every codec that others may have written with. Throws BROKER_CORRUPT, BROKER_VERSION. */
export function decompress(bytes: Buffer, codec: number, place: () => string): Buffer {
  const chunkSize = roomFor(RATIO * bytes.length);
  try {
    switch (codec) {
      case 0:
        return bytes;
      case codecs.gzip:
        return gunzipSync(bytes, { chunkSize });
      case SNAPPY:
        return decompressSnappy(bytes);
      case LZ4:
        return decompressLz4(bytes);
      case codecs.zstd:
        return zstdDecompressSync(bytes, { chunkSize });
      default:
        throw new MillraceError('BROKER_VERSION', `Compression ${codec} is not known.`, {
          place: place(),
          expected: 'none, gzip, snappy, lz4 or zstd',
        });
    }
  } catch (cause) {
    if (cause instanceof MillraceError) throw cause;
    throw new MillraceError('BROKER_CORRUPT', 'A batch of records cannot be decompressed.', {
      place: place(),
      cause,
    });
  }
}
