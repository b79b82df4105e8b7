import { MillraceError } from '../errors.ts';
import { isUnion, type AvroNamed, type AvroSchema } from './avro.ts';
import type { ByteReader } from './byte-reader.ts';

/** Moves a reader past one value. */
export type Skip = (reader: ByteReader) => void;

const primitives: Readonly<Record<string, Skip>> = {
  null: () => {},
  boolean: (reader) => {
    reader.position += 1;
  },
  int: (reader) => reader.skipLong(),
  long: (reader) => reader.skipLong(),
  float: (reader) => {
    reader.position += 4;
  },
  double: (reader) => {
    reader.position += 8;
  },
  bytes: (reader) => reader.skipSlice(),
  string: (reader) => reader.skipSlice(),
};

/**
 * Compiles how to skip a value of a schema. `named` holds the named types met so far, because Avro
 * defines one at its first use and refers to it by name after that.
 */
export function compileSkip(schema: AvroSchema, named: Map<string, Skip>): Skip {
  if (typeof schema === 'string') return named.get(schema) ?? primitiveSkip(schema);
  if (isUnion(schema)) return unionSkip(schema, named);
  switch (schema.type) {
    case 'record':
      return recordSkip(schema, named);
    case 'array':
      return blockSkip(compileSkip(schema.items, named));
    case 'map': {
      const value = compileSkip(schema.values, named);
      return blockSkip((reader) => {
        reader.skipSlice();
        value(reader);
      });
    }
    case 'null':
    case 'boolean':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'bytes':
    case 'string':
      return primitiveSkip(schema.type);
  }
}

function primitiveSkip(name: string): Skip {
  const skip = primitives[name];
  if (skip === undefined) {
    throw new MillraceError('RECORD_MALFORMED', `an Avro schema uses the unknown type ${name}`);
  }
  return skip;
}

function unionSkip(branches: readonly AvroSchema[], named: Map<string, Skip>): Skip {
  const skips = branches.map((branch) => compileSkip(branch, named));
  return (reader) => {
    const skip = skips[reader.long()];
    if (skip === undefined) throw new MillraceError('RECORD_MALFORMED', 'a union names no branch');
    skip(reader);
  };
}

function recordSkip(schema: AvroNamed, named: Map<string, Skip>): Skip {
  const skips: Skip[] = [];
  const skip: Skip = (reader) => {
    for (const field of skips) field(reader);
  };
  // Named before its fields are compiled: a record may hold itself.
  named.set(schema.name, skip);
  if (schema.namespace !== undefined) named.set(`${schema.namespace}.${schema.name}`, skip);
  for (const field of schema.fields) skips.push(compileSkip(field.type, named));
  return skip;
}

/** Arrays and maps: blocks of a count and that many items, ended by 0; a negative count carries its size. */
function blockSkip(item: Skip): Skip {
  return (reader) => {
    for (let count = reader.long(); count !== 0; count = reader.long()) {
      if (count < 0) {
        const size = reader.long();
        reader.position += size;
        continue;
      }
      for (let index = 0; index < count; index++) item(reader);
    }
  };
}
