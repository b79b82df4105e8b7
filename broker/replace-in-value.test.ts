import { expect, test } from 'vitest';
import { RecordCursor, RecordWriter, type PlainRecord } from './records.ts';
import { replaceInValue } from './replace-in-value.ts';

const recordOf = (key: string, value: string): PlainRecord => ({
  key: Buffer.from(key),
  value: Buffer.from(value),
  timestamp: 5,
  op: 'r',
  version: 7n,
  headers: [{ name: 'h', value: Buffer.from('header') }],
});

function plain(records: RecordWriter): PlainRecord[] {
  const cursor = new RecordCursor(records.written());
  const found: PlainRecord[] = [];
  while (cursor.next()) found.push(cursor.plain());
  return found;
}

test.each([
  ['longer', 'a much longer one'],
  ['shorter', ''],
  ['of the same size', 'ONE'],
])('a part of a value becomes %s, and every record stays whole', (_, by) => {
  for (const at of [0, 1, 2]) {
    // Small, so that it has to grow.
    const records = new RecordWriter(8);
    const before = ['x', 'y', 'z'].map((key) => recordOf(key, `${key}: one.`));
    const starts: number[] = [];
    for (const record of before) {
      starts.push(records.bytes);
      records.add(record);
    }
    const start = starts[at]!;
    const { bytes } = records.out;
    const { valueStart } = new RecordCursor(bytes).stand(bytes, start);
    const place = { start, from: valueStart + 3, to: valueStart + 6 };
    replaceInValue(records, place, Buffer.from(by));
    const after = before.map((record, index) =>
      index === at ? { ...record, value: Buffer.from(`${String(record.key)}: ${by}.`) } : record,
    );
    expect(plain(records)).toEqual(after);
    records.add(recordOf('w', 'more'));
    expect(plain(records).length).toBe(4);
  }
});
