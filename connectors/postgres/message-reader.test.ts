import { array, assert, integer, property, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';
import { seed } from '../../tests/support/seed.ts';
import { MessageReader } from './message-reader.ts';
import { frontendMessage } from './protocol.ts';

test('messages come out whole and in order, wherever their bytes are cut', () => {
  const messages = array(uint8Array({ maxLength: 2000 }), { maxLength: 30 });
  const cuts = array(integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 20 });
  assert(
    property(messages, cuts, (contents, sizes) => {
      const bytes = Buffer.concat(contents.map((each) => frontendMessage('d', Buffer.from(each))));
      const reader = new MessageReader();
      const found: string[] = [];
      for (let at = 0, cut = 0; at < bytes.length; cut++) {
        const end = at + (sizes[cut % sizes.length] ?? 1);
        reader.push(bytes.subarray(at, end));
        at = end;
        while (reader.next()) {
          expect(reader.type).toBe('d'.charCodeAt(0));
          found.push(reader.bytes.toString('hex', reader.start, reader.end));
        }
      }
      expect(found).toEqual(contents.map((each) => Buffer.from(each).toString('hex')));
    }),
    { seed },
  );
});

test('a message larger than all chunks is put together without copying it for each', () => {
  const content = Buffer.alloc(8 * 1024 * 1024, 'x');
  const bytes = frontendMessage('d', content);
  const reader = new MessageReader();
  const buffers = new Set<Buffer>();
  for (let at = 0; at < bytes.length; at += 65_536) {
    expect(reader.next()).toBe(false);
    reader.push(bytes.subarray(at, at + 65_536));
    buffers.add(reader.bytes);
  }
  expect(reader.next()).toBe(true);
  expect(reader.bytes.subarray(reader.start, reader.end).equals(content)).toBe(true);
  expect(buffers.size).toBeLessThanOrEqual(2);
});
