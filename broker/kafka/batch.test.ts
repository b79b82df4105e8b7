import { createRequire } from 'node:module';
import {
  array,
  assert,
  asyncProperty,
  bigInt,
  constantFrom,
  integer,
  option,
  record,
  string,
  uint8Array,
} from 'fast-check';
import { expect, test } from 'vitest';
import { propertySeed } from '../../tests/property-seed.ts';
import { topicName } from '../broker.ts';
import { pack, RecordCursor, type PlainRecord } from '../records.ts';
import { encodeBatches, sign } from './batch-encoder.ts';
import { committedBatches, segmentOf } from './batch-reader.ts';
import { crc32c } from './crc32c.ts';
import type { Compression } from './options.ts';
import { OP_HEADER, VERSION_HEADER } from './record-batch.ts';

const require = createRequire(import.meta.url);
const Decoder = require('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => object;
const decodeByKafkaJs = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (
  decoder: object,
) => Promise<{ records: KafkaJsRecord[] }>;

interface KafkaJsRecord {
  readonly offset: string;
  readonly timestamp: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | Buffer[]>>;
}

const bytes = uint8Array({ maxLength: 200 }).map((value) => Buffer.from(value));
const header = record({
  name: string({ maxLength: 12 }).filter((name) => !name.startsWith('millrace.')),
  value: option(bytes),
});
const plain = record({
  key: option(bytes),
  value: option(bytes),
  timestamp: integer({ min: 0, max: 2 ** 31 - 1 }).chain((low) =>
    constantFrom(low, low * 1000, 0, 2 ** 41 + low),
  ),
  op: option(constantFrom('c', 'd', 'r')),
  version: option(bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  headers: array(header, { maxLength: 4 }),
}).map(({ op, version, ...rest }): PlainRecord => ({
  ...rest,
  ...(op === null ? {} : { op }),
  ...(version === null ? {} : { version }),
}));

const at = { topic: topicName('t'), partition: 0, next: 0 };
const producer = { id: 'p', producerId: 77n, epoch: 3 };

async function encoded(records: readonly PlainRecord[], compression: Compression) {
  const batches = await encodeBatches(pack(records), compression);
  batches.forEach((batch, index) => sign(batch, producer, index));
  return batches;
}

function decoded(batch: Buffer): PlainRecord[] {
  const { batches } = committedBatches({ batches: batch, aborted: [] }, at);
  return batches.flatMap((stored) => {
    const segment = segmentOf(stored, at);
    const cursor = new RecordCursor(segment.bytes);
    const found: PlainRecord[] = [];
    while (cursor.next()) found.push(cursor.plain());
    expect(found.length).toBe(segment.count);
    return found;
  });
}

test('records come back as they were, whatever is in them', async () => {
  await assert(
    asyncProperty(
      array(plain, { minLength: 1, maxLength: 40 }),
      constantFrom('none', 'gzip', 'zstd'),
      async (records, compression) => {
        const batches = await encoded(records, compression);
        expect(batches.flatMap((batch) => decoded(batch.bytes))).toEqual(records);
      },
    ),
    propertySeed(),
  );
});

test('a decoder that is not ours reads the same', async () => {
  await assert(
    asyncProperty(
      array(plain, { minLength: 1, maxLength: 40 }),
      constantFrom('none', 'gzip'),
      async (records, compression) => {
        const [batch] = await encoded(records, compression);
        const read = await decodeByKafkaJs(new Decoder(batch?.bytes ?? Buffer.alloc(0)));
        expect(
          read.records.map(({ offset, timestamp, key, value }) => ({
            offset,
            timestamp: Number(timestamp),
            key,
            value,
          })),
        ).toEqual(
          records.map(({ timestamp, key, value }, index) => ({
            offset: String(index),
            timestamp,
            key,
            value,
          })),
        );
        for (const [index, { op, version }] of records.entries()) {
          const headers = read.records[index]?.headers ?? {};
          expect(headers[OP_HEADER.toString()]?.toString()).toBe(op);
          const bytes = headers[VERSION_HEADER.toString()] as Buffer | undefined;
          expect(bytes?.readBigInt64BE(0)).toBe(version);
        }
      },
    ),
    propertySeed(),
  );
});

test('many records become several batches below a megabyte, one that is larger a batch of its own', async () => {
  const value = Buffer.alloc(1000, 'v');
  const small = Array.from({ length: 3000 }, (_, index) => ({
    key: Buffer.from(`${index}`),
    value,
    timestamp: index,
  }));
  const large = { key: null, value: Buffer.alloc(3_000_000, 'w'), timestamp: 1 };
  const batches = await encoded([...small, large, ...small.slice(0, 2)], 'none');
  expect(batches.reduce((sum, { count }) => sum + count, 0)).toBe(3003);
  const sizes = batches.map(({ bytes: { length } }) => length);
  expect(sizes.filter((size) => size > 1024 * 1024)).toHaveLength(1);
  expect(sizes.length).toBeLessThan(8);
});

test('the records before an offset are left out', async () => {
  const records = ['a', 'b', 'c'].map((key) => ({
    key: Buffer.from(key),
    value: null,
    timestamp: 1,
  }));
  const [batch] = await encoded(records, 'zstd');
  const stored = { bytes: batch?.bytes ?? Buffer.alloc(0), base: 0, next: 3 };
  const segment = segmentOf(stored, { ...at, next: 2 });
  const cursor = new RecordCursor(segment.bytes);
  expect(cursor.next()).toBe(true);
  expect([cursor.key()?.toString(), cursor.delta, cursor.next()]).toEqual(['c', 2, false]);
});

test('a byte that changed on its way is noticed', async () => {
  const [batch] = await encoded([{ key: null, value: Buffer.from('value'), timestamp: 1 }], 'none');
  const bytes = batch?.bytes ?? Buffer.alloc(0);
  bytes[bytes.length - 2] = (bytes.at(-2) ?? 0) ^ 1;
  expect(() => decoded(bytes)).toThrow(expect.objectContaining({ code: 'BROKER_CORRUPT' }));
});

test('a batch that a fetch has cut is left for the next one', async () => {
  const records = [{ key: null, value: Buffer.from('value'), timestamp: 1 }];
  const [batch] = await encoded(records, 'none');
  const whole = batch?.bytes ?? Buffer.alloc(0);
  for (let end = 0; end < whole.length; end++) {
    const cut = { batches: whole.subarray(0, end), aborted: [] };
    expect(committedBatches(cut, at)).toEqual({ batches: [], next: 0 });
  }
});

test('the checksum is that of RFC 3720', () => {
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
  expect(crc32c(Buffer.from(Array.from({ length: 32 }, (_, index) => index)))).toBe(0x46dd794e);
  expect(crc32c(Buffer.from('xx123456789xx'), 2, 11)).toBe(0xe3069283);
});
