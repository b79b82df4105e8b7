import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { propertySeed } from '../tests/property-seed.ts';
import { pack, RecordCursor, RecordWriter, type PlainRecord } from './records.ts';

const binary = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes));
const plain: fc.Arbitrary<PlainRecord> = fc.record(
  {
    key: fc.option(binary),
    value: fc.option(binary),
    timestamp: fc.double({ noNaN: true, min: -1e15, max: 1e15 }),
    op: fc.constantFrom('c', 'u', 'd', 'r', 't', 'm'),
    version: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    headers: fc.array(
      fc.record({ name: fc.string({ unit: 'binary', maxLength: 20 }), value: fc.option(binary) }),
      { maxLength: 3 },
    ),
  },
  { requiredKeys: ['key', 'value', 'timestamp', 'headers'] },
);

function walk(writer: RecordWriter): PlainRecord[] {
  const cursor = new RecordCursor(writer.written());
  const found: PlainRecord[] = [];
  while (cursor.next()) {
    expect(cursor.delta).toBe(found.length);
    found.push(cursor.plain());
  }
  return found;
}

describe('packed records', () => {
  test('come back as they went in', () => {
    fc.assert(
      fc.property(fc.array(plain, { maxLength: 20 }), (records) => {
        const writer = pack(records);
        expect(writer.count).toBe(records.length);
        expect(walk(writer)).toEqual(records);
      }),
      { numRuns: 300, ...propertySeed() },
    );
  });

  test('are copied with everything they have, and numbered anew', () => {
    fc.assert(
      fc.property(fc.array(plain, { minLength: 1, maxLength: 10 }), (records) => {
        const copies = new RecordWriter(16);
        copies.add(records[0] as PlainRecord);
        const cursor = new RecordCursor(pack(records).written());
        while (cursor.next()) copies.copy(cursor);
        expect(walk(copies)).toEqual([records[0], ...records]);
      }),
      { numRuns: 100, ...propertySeed() },
    );
  });

  test('leave nothing behind when the writer is reset', () => {
    const writer = pack([{ key: null, value: Buffer.alloc(5000), timestamp: 1 }]);
    writer.reset(1000);
    expect([writer.count, writer.bytes]).toEqual([0, 0]);
    const record = { key: Buffer.from('k'), value: null, timestamp: 2, headers: [] };
    writer.add(record);
    expect(walk(writer)).toEqual([record]);
  });

  test('of the hot path are those of `add`', () => {
    const writer = new RecordWriter(16);
    const head = { timestamp: 5, op: 'u'.charCodeAt(0), versionHigh: -1, versionLow: 0xfffffffe };
    writer.start(head, Buffer.from('key and more'), 3);
    writer.out.string('value');
    writer.endValue();
    writer.header(Buffer.from('h'), Buffer.from('x'));
    writer.finish();
    writer.start({ ...head, op: 0 }, null);
    writer.nullValue();
    writer.finish();
    expect(walk(writer)).toEqual([
      {
        key: Buffer.from('key'),
        value: Buffer.from('\nvalue'),
        timestamp: 5,
        op: 'u',
        version: -2n,
        headers: [{ name: 'h', value: Buffer.from('x') }],
      },
      { key: null, value: null, timestamp: 5, headers: [] },
    ]);
  });

  test('a header that is there twice counts with its last value, as in Kafka', () => {
    const headers = [
      { name: 'h', value: Buffer.from('1') },
      { name: 'other', value: null },
      { name: 'h', value: Buffer.from('2') },
    ];
    const cursor = new RecordCursor(
      pack([{ key: null, value: null, timestamp: 1, headers }]).written(),
    );
    cursor.next();
    expect(cursor.header('h')).toEqual(Buffer.from('2'));
    expect(cursor.header('other')).toBeNull();
    expect(cursor.header('none')).toBeUndefined();
  });
});
