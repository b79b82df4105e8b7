import type { ByteReader } from './byte-reader.ts';
import type { SemanticType } from './semantic.ts';

/**
 * A value in the JSON that Avro has for defaults: bytes are text of their code points. Undefined for what
 * JSON or a default cannot say: NaN, infinities, integers past 2^53, items of arrays and maps.
 */
export function defaultJson(type: SemanticType, reader: ByteReader): unknown {
  switch (type.kind) {
    case 'boolean':
      return reader.boolean();
    case 'int16':
    case 'int32':
    case 'int64':
    case 'date':
    case 'time':
    case 'timestamp':
    case 'micro-duration': {
      const value = Number(reader.bigint());
      return Number.isSafeInteger(value) ? value : undefined;
    }
    case 'float32':
      return finite(reader.float());
    case 'float64':
      return finite(reader.double());
    case 'bytes':
    case 'bits':
    case 'decimal':
      return reader.slice().toString('latin1');
    case 'variable-decimal':
      return { scale: reader.long(), value: reader.slice().toString('latin1') };
    case 'string':
    case 'enum':
    case 'uuid':
    case 'json':
    case 'xml':
    case 'ltree':
    case 'tsvector':
    case 'interval':
    case 'zoned-timestamp':
    case 'zoned-time':
    case 'iso-date':
    case 'iso-time':
    case 'iso-timestamp':
      return reader.string();
    case 'array':
      return reader.long() === 0 ? [] : undefined;
    case 'map':
      return reader.long() === 0 ? {} : undefined;
    case 'double-vector':
    case 'float-vector':
      return reader.long() === 0 ? [] : undefined;
    case 'point':
    case 'geometry':
    case 'geography':
    case 'sparse-vector':
      return undefined;
  }
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}
