import { expect, test } from 'vitest';
import { ByteReader } from '../../schemas/byte-reader.ts';
import { ByteWriter } from '../../schemas/byte-writer.ts';
import type { SemanticType } from '../../schemas/semantic.ts';
import { jsonOf } from './key-json.ts';
import { LsnText } from './lsn-text.ts';

function json(type: SemanticType, write: (out: ByteWriter) => void): string {
  const out = new ByteWriter(64);
  write(out);
  return jsonOf(type, new ByteReader(out.written()));
}

test('numbers keep every digit', () => {
  expect(json({ kind: 'int64' }, (out) => out.bigint(2n ** 63n - 1n))).toBe('9223372036854775807');
  expect(json({ kind: 'timestamp', unit: 'us' }, (out) => out.long(-1))).toBe('-1');
  const decimal: SemanticType = { kind: 'decimal', precision: 20, scale: 4 };
  expect(json(decimal, (out) => out.slice(Buffer.of(0x4e, 0x20)))).toBe('2.0000');
  expect(json(decimal, (out) => out.slice(Buffer.of(0xff)))).toBe('-0.0001');
  expect(json({ ...decimal, scale: 0 }, (out) => out.slice(Buffer.of(0x80)))).toBe('-128');
  expect(json({ kind: 'float64' }, (out) => out.double(-0))).toBe('-0.0');
  expect(json({ kind: 'float64' }, (out) => out.double(NaN))).toBe('"NaN"');
});

test('texts are quoted, bytes are base64, arrays keep their nulls', () => {
  expect(json({ kind: 'string' }, (out) => out.string('a"\n'))).toBe(String.raw`"a\"\n"`);
  expect(json({ kind: 'bytes' }, (out) => out.slice(Buffer.of(0, 0xff)))).toBe('"AP8="');
  const array: SemanticType = { kind: 'array', items: { kind: 'int32' } };
  expect(
    json(array, (out) => {
      for (const part of [3, 1, 7, 0, 1, -2, 0]) out.long(part);
    }),
  ).toBe('[7,null,-2]');
});

const wkb = (out: ByteWriter): void => {
  out.slice(Buffer.of(1));
  out.long(1);
  out.long(4326);
};

test('what extensions make keys of is an object, or a list of its numbers', () => {
  expect(
    json({ kind: 'double-vector' }, (out) => {
      out.long(2);
      out.double(0.5);
      out.double(-1);
      out.byte(0);
    }),
  ).toBe('[0.5,-1]');
  expect(
    json({ kind: 'sparse-vector' }, (out) => {
      out.long(300);
      out.long(1);
      out.long(7);
      out.double(0.5);
      out.byte(0);
    }),
  ).toBe('{"dimensions":300,"vector":{"7":0.5}}');
  expect(
    json({ kind: 'map' }, (out) => {
      out.long(2);
      out.string('a"');
      out.long(0);
      out.string('');
      out.long(1);
      out.string('b');
      out.byte(0);
    }),
  ).toBe(String.raw`{"a\"":null,"":"b"}`);
  expect(json({ kind: 'geography' }, wkb)).toBe('{"wkb":"AQ==","srid":4326}');
  expect(
    json({ kind: 'geometry' }, (out) => {
      wkb(out);
      out.byte(0);
    }),
  ).toBe('{"wkb":"AQ==","srid":4326,"extensions":null}');
});

test.each([
  0n,
  7n,
  99_999_999n,
  100_000_000n,
  24_645_616n,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 64n - 1n,
])('the LSN %s is its decimal text', (lsn) => {
  const text = new LsnText();
  const out = new ByteWriter(1);
  text.set(Number(BigInt.asIntN(32, lsn >> 32n)), Number(BigInt.asIntN(32, lsn)));
  text.write(out);
  expect(String(out.written())).toBe(String(lsn));
  expect(text.size).toBe(String(lsn).length);
});
