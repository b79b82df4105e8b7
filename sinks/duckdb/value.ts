import { MillraceError } from '../../errors.ts';
import { isUnion, type AvroSchema } from '../../schemas/avro.ts';
import type { EnvelopeColumn } from '../../schemas/envelope-reader.ts';
import { nonNull, type SemanticType } from '../../schemas/semantic.ts';
import { bigintOf, decimalInto, decimalPut, decimalText } from './decimal.ts';
import { instantMicros } from './instant.ts';
import { bitsBlob, bitsText } from './bits.ts';
import { intervalFromIso, writeInterval } from './interval.ts';
import { jsonText } from './json-text.ts';
import { outside } from './outside.ts';
import type { ReadValue } from './read-value.ts';
import { microsInto, millisInto, timeInto } from './time-value.ts';
import { zonedTimeInto } from './zoned-time.ts';
import { uuidInto } from './uuid.ts';
import { FixedVector, ListVector, SliceVector, type ColumnVector } from './vector.ts';
import { readWords, wordsBigint, writeBigWords, writeWords } from './words.ts';

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
  const itemType = itemsOf(type);
  if (
    itemType === null ||
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
    type: itemType,
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

function itemsOf(type: SemanticType | null): SemanticType | null {
  if (type?.kind === 'double-vector') return { kind: 'float64' };
  if (type?.kind === 'float-vector') return { kind: 'float32' };
  return type?.kind === 'array' ? type.items : null;
}

export function endsEarly(): MillraceError {
  return new MillraceError('RECORD_MALFORMED', 'a row ends before its columns do');
}

/** What has parts, and no type of DuckDB's own. */
const AS_JSON: ReadonlySet<SemanticType['kind']> = new Set([
  'map',
  'point',
  'geometry',
  'geography',
  'sparse-vector',
]);

function sliceInto({ type, schema }: ValueTarget, vector: SliceVector): ReadValue {
  const { values } = vector;
  if (type === null || AS_JSON.has(type.kind)) {
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
  if (type.kind === 'bits') {
    const { length } = type;
    return (reader, row) => {
      values[row] = bitsBlob(bitsText(reader.slice(), length));
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
        vector.i32[row] = INFINITE_DATES.get(days) ?? days;
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
      return instantInto(vector);
    case 'uuid':
      return uuidInto(vector);
    case 'micro-duration':
      return (reader, row) =>
        writeInterval(vector, row, { months: 0, days: 0, micros: reader.bigint() });
    case 'interval':
      return (reader, row) => intervalFromIso(reader.string(), vector, row);
    case 'zoned-time':
      return (reader, row) => zonedTimeInto(reader.string(), vector, row);
    case 'string':
    case 'bytes':
    case 'bits':
    case 'enum':
    case 'json':
    case 'xml':
    case 'ltree':
    case 'tsvector':
    case 'iso-date':
    case 'iso-time':
    case 'iso-timestamp':
    case 'array':
    case 'variable-decimal':
    case 'map':
    case 'point':
    case 'geometry':
    case 'geography':
    case 'double-vector':
    case 'float-vector':
    case 'sparse-vector':
      throw new Error(`${type.kind} has no fixed width`);
  }
}

function instantInto(vector: FixedVector): ReadValue {
  return (reader, row) => {
    const size = reader.long();
    const start = reader.position;
    reader.position = start + size;
    const micros = instantMicros(reader.bytes, start, start + size);
    if (typeof micros === 'number') writeWords(micros, vector.i32, row * 2);
    else writeBigWords(micros, vector.i32, row * 2);
  };
}

/** Infinity as Debezium has it in days, and as DuckDB has it. */
const INFINITE_DATES: ReadonlyMap<number, number> = new Map([
  [2_146_033_979, 0x7fff_ffff],
  [-2_147_472_691, -0x7fff_ffff],
]);

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
