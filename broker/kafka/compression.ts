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

const ZSTD: ZstdOptions = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
const compressZstd = promisify(zstdCompress);
const compressGzip = promisify(gzip);

/** In the thread pool; `codec` 0 where it is left as it is. */
export async function compress(
  bytes: Buffer,
  compression: Compression,
): Promise<{ readonly bytes: Buffer; readonly codec: number }> {
  if (bytes.length < COMPRESSED_FROM_BYTES || compression === 'none') return { bytes, codec: 0 };
  const packed =
    compression === 'zstd'
      ? await compressZstd(bytes, ZSTD)
      : await compressGzip(bytes, { level: constants.Z_BEST_SPEED });
  return { bytes: packed, codec: codecs[compression] };
}

/** Every codec that others may have written with. Throws BROKER_CORRUPT, BROKER_VERSION. */
export function decompress(bytes: Buffer, codec: number, place: () => string): Buffer {
  try {
    switch (codec) {
      case 0:
        return bytes;
      case codecs.gzip:
        return gunzipSync(bytes);
      case SNAPPY:
        return decompressSnappy(bytes);
      case LZ4:
        return decompressLz4(bytes);
      case codecs.zstd:
        return zstdDecompressSync(bytes);
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
