/**
 * A record batch, magic 2, big-endian:
 *
 * ```
 *  0 i64 base offset             23 i32 last offset delta     51 i16 producer epoch
 *  8 i32 size of what follows    27 i64 base timestamp        53 i32 base sequence
 * 12 i32 leader epoch            35 i64 max timestamp         57 i32 number of records
 * 16 i8  magic                   43 i64 producer id           61 records, maybe compressed
 * 17 u32 CRC-32C of the rest
 * 21 i16 attributes: 0-2 codec, 3 log append time, 4 transactional, 5 control
 * ```
 *
 * A record: size, attributes (i8), timestamp delta, offset delta, key, value, number of headers, each with
 * name and value; sizes and deltas are zigzag varints, -1 is null.
 *
 * Source: Kafka documentation, "Message Format".
 */
export const BATCH_HEAD_BYTES = 61;
/** What `size` does not count. */
export const BATCH_PREFIX_BYTES = 12;
export const CRC_FROM = 21;
export const CODEC_MASK = 0x07;
/** The cluster has set the time of all records: it is the latest of the batch. */
export const LOG_APPEND_TIME = 0x08;
export const TRANSACTIONAL = 0x10;
export const CONTROL = 0x20;
/** Millrace's own places in a record travel as these headers: `broker/records.ts`. */
export const OP_HEADER = Buffer.from('millrace.op');
export const VERSION_HEADER = Buffer.from('millrace.version');
