import { MillraceError } from '../../errors.ts';
import { isUnion, type AvroSchema } from '../../schemas/avro.ts';
import type { ByteReader } from '../../schemas/byte-reader.ts';
import type { EnvelopeColumn } from '../../schemas/envelope-reader.ts';
import { nonNull, type SemanticType } from '../../schemas/semantic.ts';
import { bigintOf, decimalInto, decimalPut, decimalText } from './decimal.ts';
import { INFINITE, instantMicros } from './instant.ts';
import { jsonText } from './json-text.ts';
import { uuidInto } from './uuid.ts';
import { FixedVector, ListVector, SliceVector, type ColumnVector } from './vector.ts';
import { readWords, wordsBigint, wordsNumber, writeBigWords, writeWords } from './words.ts';

/** Reads one value at the reader's position into a row of a vector. */
export type ReadValue = (reader: ByteReader, row: number) => void;

/** A topic's column and where its values go: `sqlType` may be wider than the column's own type. */
export interface ValueTarget {
  readonly schema: AvroSchema;
  readonly type: SemanticType | null;
  readonly sqlType: string;
  readonly vector: ColumnVector;
}

/** Compiles how a column's values, null branch and all, get from a row image into its vector. */
export function compileColumn(column: EnvelopeColumn, target: ValueTarget): ReadValue {
  const read = compileValue(target);
  const { nullBranch } = column;
  if (nullBranch < 0) return read;
  const { vector } = target;
  return (reader, row) => {
    if (reader.long() === nullBranch) vector.setNull(row);
    else read(reader, row);
  };
}

function compileValue(target: ValueTarget): ReadValue {
  const { type, vector } = target;
  if (vector instanceof ListVector) return listInto(target, vector);
  if (vector instanceof SliceVector) return sliceInto(target, vector);
  if (vector instanceof FixedVector && type !== null) return fixedInto(target, type, vector);
  throw new Error(`no way to read ${type?.kind ?? 'an unknown type'} into ${target.sqlType}`);
}

function listInto(target: ValueTarget, vector: ListVector): ReadValue {
  const { type, schema } = target;
  if (
    type?.kind !== 'array' ||
    typeof schema === 'string' ||
    isUnion(schema) ||
    schema.type !== 'array'
  ) {
    throw new Error('a list column is filled from an array only');
  }
  const item = schema.items;
  const nullBranch = isUnion(item) ? item.indexOf('null') : -1;
  const itemVector = vector.items;
  const read = compileValue({
    schema: nonNull(item),
    type: type.items,
    sqlType: target.sqlType.slice(0, -2),
    vector: itemVector,
  });
  return (reader, row) => {
    const first = vector.itemCount;
    for (let count = reader.long(); count !== 0; count = reader.long()) {
      // A negative count is followed by the block's size in bytes.
      if (count < 0) reader.skipLong();
      for (let left = Math.abs(count); left > 0; left--) {
        const at = vector.add();
        if (nullBranch >= 0 && reader.long() === nullBranch) itemVector.setNull(at);
        else read(reader, at);
        if (!(reader.position <= reader.bytes.length)) throw endsEarly();
      }
    }
    vector.end(row, first);
  };
}

export function endsEarly(): MillraceError {
  return new MillraceError('RECORD_MALFORMED', 'a row ends before its columns do');
}

function sliceInto({ type, schema }: ValueTarget, vector: SliceVector): ReadValue {
  const { values } = vector;
  if (type === null) {
    const text = jsonText(schema);
    return (reader, row) => {
      values[row] = Buffer.from(text(reader));
    };
  }
  if (type.kind === 'decimal') {
    const { scale } = type;
    return (reader, row) => {
      values[row] = Buffer.from(decimalText(bigintOf(reader.slice()), scale));
    };
  }
  if (type.kind === 'int16' || type.kind === 'int32' || type.kind === 'int64') {
    // The column became text since.
    const words = new Int32Array(2);
    return (reader, row) => {
      readWords(reader, words, 0);
      values[row] = Buffer.from(String(wordsBigint(words, 0)));
    };
  }
  if (type.kind === 'variable-decimal') {
    return (reader, row) => {
      const scale = reader.long();
      values[row] = Buffer.from(decimalText(bigintOf(reader.slice()), scale));
    };
  }
  return (reader, row) => {
    const size = reader.long();
    const start = reader.position;
    const end = start + size;
    if (!(size >= 0 && end <= reader.bytes.length)) throw endsEarly();
    reader.position = end;
    values[row] = reader.bytes.subarray(start, end);
  };
}

function fixedInto(target: ValueTarget, type: SemanticType, vector: FixedVector): ReadValue {
  const { sqlType } = target;
  switch (type.kind) {
    case 'boolean':
      return (reader, row) => {
        vector.u8[row] = reader.boolean() ? 1 : 0;
      };
    case 'int16':
    case 'int32':
    case 'int64':
      return integerInto(sqlType, vector);
    case 'float32':
    case 'float64':
      return floatInto(type.kind, sqlType, vector);
    case 'decimal':
      return decimalInto(vector, sqlType, type.scale);
    case 'date':
      return (reader, row) => {
        const days = reader.long();
        if (days === -0x8000_0000) throw outside('a date', 'DATE');
        vector.i32[row] = days;
      };
    case 'time':
      return timeInto(
        type.unit === 'ms' ? 1000 : 1,
        type.unit === 'ns' ? 86_400e9 : 86_400e6,
        vector,
      );
    case 'timestamp':
      return type.unit === 'ms' ? millisInto(vector) : microsInto(vector);
    case 'zoned-timestamp':
      return (reader, row) => {
        const size = reader.long();
        const start = reader.position;
        reader.position = start + size;
        const micros = instantMicros(reader.bytes, start, start + size);
        if (typeof micros === 'number') writeWords(micros, vector.i32, row * 2);
        else writeBigWords(micros, vector.i32, row * 2);
      };
    case 'uuid':
      return uuidInto(vector);
    case 'string':
    case 'bytes':
    case 'enum':
    case 'json':
    case 'array':
    case 'variable-decimal':
      throw new Error(`${type.kind} has no fixed width`);
  }
}

function outside(what: string, type: string): MillraceError {
  return new MillraceError('VALUE_UNSUPPORTED', `${what} is outside the range of ${type}`);
}

function integerInto(sqlType: string, vector: FixedVector): ReadValue {
  if (sqlType.startsWith('DECIMAL')) {
    const words = new Int32Array(2);
    const put = decimalPut(vector, sqlType, 0);
    return (reader, row) => {
      readWords(reader, words, 0);
      put(wordsBigint(words, 0), row);
    };
  }
  if (sqlType === 'BIGINT') return (reader, row) => readWords(reader, vector.i32, row * 2);
  if (sqlType === 'INTEGER') {
    return (reader, row) => {
      const value = reader.long();
      if ((value | 0) !== value) throw outside('an integer', 'INTEGER');
      vector.i32[row] = value;
    };
  }
  return (reader, row) => {
    const value = reader.long();
    if (value > 0x7fff || value < -0x8000) throw outside('an integer', 'SMALLINT');
    vector.i16[row] = value;
  };
}

function floatInto(kind: 'float32' | 'float64', sqlType: string, vector: FixedVector): ReadValue {
  if (kind === 'float64') {
    return (reader, row) => {
      vector.f64[row] = reader.double();
    };
  }
  if (sqlType === 'DOUBLE') {
    return (reader, row) => {
      vector.f64[row] = reader.float();
    };
  }
  return (reader, row) => {
    vector.f32[row] = reader.float();
  };
}

/** 24:00:00 is a time in Postgres and in DuckDB. */
function timeInto(factor: number, dayLength: number, vector: FixedVector): ReadValue {
  return (reader, row) => {
    const value = reader.long() * factor;
    if (!(value >= 0 && value <= dayLength)) throw outside('a time', 'TIME');
    writeWords(value, vector.i32, row * 2);
  };
}

function millisInto(vector: FixedVector): ReadValue {
  return (reader, row) => {
    const at = row * 2;
    readWords(reader, vector.i32, at);
    const millis = wordsNumber(vector.i32, at);
    if (Math.abs(millis) < 9e12) return writeWords(millis * 1000, vector.i32, at);
    const micros = wordsBigint(vector.i32, at) * 1000n;
    if (micros >= INFINITE || micros <= -INFINITE) throw outside('a timestamp', 'TIMESTAMP');
    writeBigWords(micros, vector.i32, at);
  };
}

/** Micro- or nanoseconds as they are; ±(2^63 - 1) is infinity on both sides. */
function microsInto(vector: FixedVector): ReadValue {
  return (reader, row) => {
    const at = row * 2;
    readWords(reader, vector.i32, at);
    if (vector.i32[at + 1] === -0x8000_0000 && vector.i32[at] === 0)
      throw outside('a timestamp', 'TIMESTAMP');
  };
}
