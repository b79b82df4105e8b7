import avsc from 'avsc';
import { expect, test } from 'vitest';
import type { AvroSchema } from '../../schemas/avro.ts';
import { ByteReader } from '../../schemas/byte-reader.ts';
import { jsonText } from './json-text.ts';

test('a value of any Avro shape reads as the JSON of its parts', () => {
  const schema: AvroSchema = {
    type: 'record',
    name: 'Node',
    fields: [
      { name: 'n', type: 'long' },
      { name: 'x_y', type: ['null', 'double'], 'millrace.column': 'x y' },
      { name: 'raw', type: 'bytes' },
      { name: 'tags', type: { type: 'map', values: 'string' } },
      { name: 'more', type: { type: 'array', items: 'Node' } },
      { name: 'on', type: 'boolean' },
    ],
  };
  const type = avsc.Type.forSchema(schema as avsc.Schema);
  const leaf = { n: -(2 ** 50), x_y: null, raw: Buffer.from('hi'), tags: {}, more: [], on: false };
  const value = {
    n: 7,
    x_y: 0.25,
    raw: Buffer.alloc(0),
    tags: { 'a"': 'ä' },
    more: [leaf, leaf],
    on: true,
  };
  const reader = new ByteReader(type.toBuffer(value));
  const small = { n: -(2 ** 50), 'x y': null, raw: 'aGk=', tags: {}, more: [], on: false };
  expect(JSON.parse(jsonText(schema)(reader))).toEqual({
    n: 7,
    'x y': 0.25,
    raw: '',
    tags: { 'a"': 'ä' },
    more: [small, small],
    on: true,
  });
});

test('integers keep all their digits', () => {
  const bytes = Buffer.from('feffffffffffffffff01', 'hex');
  expect(jsonText('long')(new ByteReader(bytes))).toBe('9223372036854775807');
});
