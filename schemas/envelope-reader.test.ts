import avsc from 'avsc';
import { expect, test } from 'vitest';
import { envelopeSchema, sourceSchema, type TableShape } from './envelope.ts';
import { EnvelopeReader } from './envelope-reader.ts';

const table: TableShape = {
  topic: 'shop.public.orders',
  columns: [
    { name: 'id', type: { kind: 'int32' }, optional: false },
    { name: 'note text', type: { kind: 'string' }, optional: true },
    { name: 'price', type: { kind: 'variable-decimal' }, optional: true },
    { name: 'tax', type: { kind: 'variable-decimal' }, optional: true },
    { name: 'tags', type: { kind: 'array', items: { kind: 'string' } }, optional: true },
    { name: 'ratio', type: { kind: 'float64' }, optional: false },
  ],
  key: ['id'],
};
const schema = envelopeSchema(
  table,
  sourceSchema('postgresql', [{ name: 'lsn', type: ['null', 'long'], default: null }]),
);
const type = avsc.Type.forSchema(schema as avsc.Schema, { wrapUnions: true });

const row = (id: number): object => ({
  id,
  note_text: { string: 'käse' },
  price: { 'io.debezium.data.VariableScaleDecimal': { scale: 2, value: Buffer.from([1, 2]) } },
  tax: null,
  tags: { array: [{ string: 'a' }, null] },
  ratio: 0.5,
});

const wrap = (image: object | null): object | null =>
  image === null ? null : { 'shop.public.orders.Value': image };

function encode(parts: { before: object | null; after: object | null; op: string }): Buffer {
  return type.toBuffer({
    before: wrap(parts.before),
    after: wrap(parts.after),
    source: {
      version: '1',
      connector: 'postgresql',
      name: 'shop',
      ts_ms: 1_700_000_000_123,
      snapshot: { string: 'false' },
      db: 'shop',
      sequence: null,
      ts_us: { long: 1 },
      ts_ns: null,
      lsn: { long: 7 },
    },
    transaction: null,
    op: parts.op,
    ts_ms: { long: 5 },
    ts_us: null,
    ts_ns: null,
  });
}

test('an envelope is located part by part as the Avro library wrote it', () => {
  const reader = new EnvelopeReader(schema);
  const body = encode({ before: row(1), after: row(2), op: 'u' });
  const bytes = Buffer.concat([Buffer.from('xxxxx'), body, Buffer.from('yy')]);
  reader.locate(bytes, 5, 5 + body.length);

  expect(String.fromCharCode(reader.op)).toBe('u');
  expect(reader.committedAt).toBe(1_700_000_000_123);
  const [, valueSchema] = schema.fields[0]!.type as [string, avsc.Schema];
  const value = avsc.Type.forSchema(valueSchema, { wrapUnions: true });
  expect(value.fromBuffer(bytes.subarray(reader.beforeStart, reader.beforeEnd))).toEqual(row(1));
  expect(value.fromBuffer(bytes.subarray(reader.afterStart, reader.afterEnd))).toEqual(row(2));
});

test('images that are not there have no start', () => {
  const reader = new EnvelopeReader(schema);
  const body = encode({ before: row(1), after: null, op: 'd' });
  reader.locate(body, 0, body.length);
  expect(reader.beforeStart).toBeGreaterThan(0);
  expect(reader.afterStart).toBe(-1);
});

test('the spans of a row are its columns one after another', () => {
  const reader = new EnvelopeReader(schema);
  const body = encode({ before: null, after: row(300), op: 'c' });
  reader.locate(body, 0, body.length);
  const spans = new Int32Array(reader.columns.length + 1);
  reader.spans(body, reader.afterStart, spans);
  expect(spans[0]).toBe(reader.afterStart);
  expect(spans[6]).toBe(reader.afterEnd);
  expect(body.subarray(spans[1], spans[2]).toString()).toContain('käse');
  expect(body.readDoubleLE(spans[5])).toBe(0.5);
});

test('columns carry the name of the source, their type and where null is', () => {
  const reader = new EnvelopeReader(schema);
  expect(reader.columns.map(({ name }) => name)).toEqual(table.columns.map(({ name }) => name));
  expect(reader.columns.map(({ type }) => type)).toEqual(table.columns.map(({ type }) => type));
  expect(reader.columns.map(({ nullBranch }) => nullBranch)).toEqual([-1, 0, 0, 0, 0, -1]);
});

test('an envelope that is cut short is malformed, not read beyond', () => {
  const reader = new EnvelopeReader(schema);
  const body = encode({ before: row(1), after: row(2), op: 'u' });
  expect(() => reader.locate(body.subarray(0, 40), 0, 40)).toThrow(/./);
});

test('a schema that is no envelope is refused', () => {
  expect(() => new EnvelopeReader({ type: 'record', name: 'X', fields: [] })).toThrow(
    'not a Debezium envelope',
  );
});
