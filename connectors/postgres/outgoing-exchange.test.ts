import { expect, test } from 'vitest';
import { topicName } from '../../broker/broker.ts';
import { OutgoingBuffer } from '../../broker/outgoing-buffer.ts';
import { RecordCursor, type RecordWriter } from '../../broker/records.ts';
import { OutgoingExchange } from './outgoing-exchange.ts';

function keys(records: RecordWriter): string[] {
  const cursor = new RecordCursor(records.written());
  const found: string[] = [];
  while (cursor.next()) found.push(String(cursor.key()));
  return found;
}

test('what was taken stays as it is while the buffer is written to again', () => {
  const buffer = new OutgoingBuffer();
  const exchange = new OutgoingExchange();
  const topic = topicName('t');
  const add = (key: string): void =>
    buffer.writer(topic, 1).add({ key: Buffer.from(key), value: null, timestamp: 0 });
  for (let round = 0; round < 4; round++) {
    const expected = Array.from({ length: 50 }, (_, at) => `${round} ${at}`);
    expected.forEach(add);
    const [taken] = exchange.take(buffer);
    expect(buffer.bytes).toBe(0);
    add('next');
    expect(taken).toMatchObject({ topic, partition: 1 });
    expect(taken?.records.count).toBe(50);
    expect(taken && keys(taken.records)).toEqual(expected);
    const [next] = exchange.take(buffer);
    expect(next && keys(next.records)).toEqual(['next']);
  }
  expect(exchange.take(buffer)).toEqual([]);
});
