import { Type, type Schema } from 'avsc';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AvroSchema } from './avro.ts';
import { unreadable } from './compatibility.ts';
import { propertySeed } from '../tests/property-seed.ts';

const record = (name: string, fields: readonly object[], more: object = {}): AvroSchema =>
  ({ type: 'record', name, fields, ...more }) as unknown as AvroSchema;

const reason = (reader: unknown, writer: unknown): string | null => {
  const problem = unreadable(reader as AvroSchema, writer as AvroSchema);
  return problem === null ? null : `${problem.place}: ${problem.reason}`;
};

describe('a reader can read what a writer wrote', () => {
  test.each([
    ['int as long', 'long', 'int'],
    ['int as double', 'double', 'int'],
    ['long as float', 'float', 'long'],
    ['bytes as string', 'string', 'bytes'],
    ['string as bytes', 'bytes', 'string'],
    ['a value as an optional one', ['null', 'string'], 'string'],
    ['int in a wider union', ['null', 'long'], ['null', 'int']],
    ['a union all of whose branches fit', 'string', ['string', 'bytes']],
    [
      'an array of promoted items',
      { type: 'array', items: 'long' },
      { type: 'array', items: 'int' },
    ],
    ['a map', { type: 'map', values: 'string' }, { type: 'map', values: 'string' }],
    ['an annotated type as a plain one', 'long', { type: 'long', 'connect.name': 'x' }],
    ['a record under an alias', record('New', [], { aliases: ['Old'] }), record('Old', [])],
    [
      'a field under an alias',
      record('R', [{ name: 'b', type: 'int', aliases: ['a'] }]),
      record('R', [{ name: 'a', type: 'int' }]),
    ],
    [
      'a new field with a default',
      record('R', [{ name: 'a', type: ['null', 'int'], default: null }]),
      record('R', []),
    ],
    ['a dropped field', record('R', []), record('R', [{ name: 'a', type: 'int' }])],
    [
      'an enum with a default for lost symbols',
      { type: 'enum', name: 'E', symbols: ['A', 'X'], default: 'X' },
      { type: 'enum', name: 'E', symbols: ['A', 'B'] },
    ],
    [
      'a list that contains itself',
      record('L', [
        { name: 'next', type: ['null', 'L'] },
        { name: 'v', type: 'long' },
      ]),
      record('L', [
        { name: 'next', type: ['null', 'L'] },
        { name: 'v', type: 'int' },
      ]),
    ],
  ])('%s', (_, reader, writer) => {
    expect(reason(reader, writer)).toBeNull();
  });
});

describe('a reader cannot read', () => {
  test.each([
    ['long as int', 'int', 'long', 'the schema: long was written, which int cannot read'],
    ['a union as its first branch', 'null', ['null', 'int'], /int was written/],
    ['string in a union of others', ['null', 'int'], 'string', /no branch of the union/],
    [
      'a new field without a default',
      record('R', [{ name: 'a', type: 'int' }]),
      record('R', []),
      'a: a new field has no default',
    ],
    ['another record', record('A', []), record('B', []), /another name/],
    [
      'lost symbols',
      { type: 'enum', name: 'E', symbols: ['A'] },
      { type: 'enum', name: 'E', symbols: ['A', 'B'] },
      /symbols B are gone/,
    ],
    [
      'another size',
      { type: 'fixed', name: 'F', size: 4 },
      { type: 'fixed', name: 'F', size: 5 },
      /size/,
    ],
    [
      'a change deep inside, which it names',
      record('R', [{ name: 'x', type: ['null', record('In', [{ name: 'y', type: 'int' }])] }]),
      record('R', [{ name: 'x', type: ['null', record('In', [{ name: 'y', type: 'string' }])] }]),
      'x.y: string was written, which int cannot read',
    ],
  ])('%s', (_, reader, writer, expected) => {
    expect(reason(reader, writer)).toMatch(expected);
  });
});

test('agrees with an independent implementation on generated schemas', () => {
  const primitive = fc.constantFrom(
    'null',
    'boolean',
    'int',
    'long',
    'float',
    'double',
    'bytes',
    'string',
  );
  const simple = fc.oneof(
    primitive,
    fc.uniqueArray(primitive, { minLength: 1, maxLength: 4 }),
    primitive.map((items) => ({ type: 'array', items })),
    primitive.map((values) => ({ type: 'map', values })),
  );
  const field = fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd'), type: simple });
  const fields = fc.uniqueArray(field, { selector: ({ name }) => name, maxLength: 4 });
  const optional = fields.map((list) =>
    list.map((one) => ({ ...one, type: ['null', record(`In_${one.name}`, [one])], default: null })),
  );
  const schema = fc.oneof(
    simple,
    fields.map((list) => record('R', list)),
    optional.map((list) => record('R', list)),
  );
  fc.assert(
    fc.property(schema, schema, (reader, writer) => {
      expect(reason(reader, writer) === null).toBe(canResolve(reader, writer));
    }),
    { numRuns: 2000, ...propertySeed() },
  );
});

function canResolve(reader: unknown, writer: unknown): boolean {
  try {
    parsed(reader).createResolver(parsed(writer));
    return true;
  } catch {
    return false;
  }
}

const parsed = (schema: unknown): Type => Type.forSchema(schema as Schema, { wrapUnions: true });
