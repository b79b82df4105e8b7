import { Type, types } from 'avsc';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { propertySeed } from '../tests/property-seed.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';

/** A library that we did not write says what the bytes must be. */
const bigints = {
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64LE(value);
    return buffer;
  },
  isValid: (value: unknown) => typeof value === 'bigint',
  fromJSON: BigInt,
  toJSON: String,
  compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
};
const long = types.LongType.__with(bigints);

const written = (write: (out: ByteWriter) => void): Buffer => {
  const out = new ByteWriter(1);
  write(out);
  return Buffer.from(out.written());
};

const edges = [...Array(63).keys()].flatMap((bit) => {
  const power = 2n ** BigInt(bit + 1);
  return [power, power - 1n, -power, -power - 1n, power + 1n, 1n - power];
});
const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(...edges.filter((value) => BigInt.asIntN(64, value) === value), 0n, -1n),
);

test('every 64-bit number is written as Avro says and read back', () => {
  fc.assert(
    fc.property(int64, (value) => {
      const bytes = written((out) => out.bigint(value));
      expect(bytes).toEqual(long.toBuffer(value));
      const reader = new ByteReader(bytes);
      expect(reader.bigint()).toBe(value);
      expect(reader.position).toBe(bytes.length);
      const skipping = new ByteReader(bytes);
      skipping.skipLong();
      expect(skipping.position).toBe(bytes.length);
    }),
    { numRuns: 3000, ...propertySeed() },
  );
});

test('a number of up to 53 bits needs no bigint on either side', () => {
  const safe = int64.filter((value) => Number.isSafeInteger(Number(value))).map(Number);
  fc.assert(
    fc.property(safe, (value) => {
      const bytes = written((out) => out.long(value));
      expect(bytes).toEqual(long.toBuffer(BigInt(value)));
      expect(new ByteReader(bytes).long()).toBe(value);
    }),
    { numRuns: 3000, ...propertySeed() },
  );
});

test('words of a number are written like the number', () => {
  fc.assert(
    fc.property(int64, (value) => {
      const unsigned = BigInt.asUintN(64, value);
      const [high, low] = [Number(unsigned >> 32n) | 0, Number(unsigned & 0xffffffffn) | 0];
      expect(written((out) => out.longWords(high, low))).toEqual(long.toBuffer(value));
    }),
    { numRuns: 1000, ...propertySeed() },
  );
});

test.each([
  [
    'float',
    (out: ByteWriter, value: number) => out.float(value),
    (reader: ByteReader) => reader.float(),
  ],
  [
    'double',
    (out: ByteWriter, value: number) => out.double(value),
    (reader: ByteReader) => reader.double(),
  ],
] as const)('a %s is written as Avro says and read back', (name, write, read) => {
  const type = Type.forSchema(name);
  const numbers = name === 'float' ? fc.float({ noNaN: true }) : fc.double({ noNaN: true });
  fc.assert(
    fc.property(numbers, (value) => {
      const bytes = written((out) => write(out, value));
      expect(bytes).toEqual(type.toBuffer(value));
      expect(read(new ByteReader(bytes))).toBe(value);
    }),
    propertySeed(),
  );
});

test('text and bytes of any length are written as Avro says and read back', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 200 });
  fc.assert(
    fc.property(text, fc.uint8Array({ maxLength: 200 }), (string, bytes) => {
      const packed = written((out) => {
        out.string(string);
        out.slice(bytes);
        out.byte(1);
      });
      const expected = Buffer.concat([
        Type.forSchema('string').toBuffer(string),
        Type.forSchema('bytes').toBuffer(Buffer.from(bytes)),
        Buffer.from([1]),
      ]);
      expect(packed).toEqual(expected);
      const reader = new ByteReader(packed);
      expect(reader.string()).toBe(string);
      expect(reader.slice()).toEqual(Buffer.from(bytes));
      expect(reader.boolean()).toBe(true);
      const skipping = new ByteReader().at(packed, 0);
      skipping.skipSlice();
      skipping.skipSlice();
      expect(skipping.position).toBe(packed.length - 1);
    }),
    propertySeed(),
  );
});

test('a part of a buffer is copied, short or long, and earlier bytes stay when it grows', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 120 })), fc.nat(3), (parts, cut) => {
      const packed = written((out) =>
        parts.forEach((part) => out.raw(part, Math.min(cut, part.length))),
      );
      expect(packed).toEqual(
        Buffer.concat(parts.map((part) => part.subarray(Math.min(cut, part.length)))),
      );
    }),
    propertySeed(),
  );
});
