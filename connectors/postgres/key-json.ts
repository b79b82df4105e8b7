import type { ByteReader } from '../../schemas/byte-reader.ts';
import type { SemanticType } from '../../schemas/semantic.ts';

/** Reads one value and answers its JSON text. Decimals are numbers with all their places, bytes base64. */
export function jsonOf(type: SemanticType, reader: ByteReader): string {
  switch (type.kind) {
    case 'boolean':
      return String(reader.boolean());
    case 'int16':
    case 'int32':
    case 'int64':
    case 'date':
    case 'time':
    case 'timestamp':
    case 'micro-duration':
      return String(reader.bigint());
    case 'float32':
      return number(reader.float());
    case 'float64':
      return number(reader.double());
    case 'decimal':
      return decimal(reader.slice(), type.scale);
    case 'variable-decimal': {
      const scale = reader.long();
      return `{"scale":${scale},"value":"${reader.slice().toString('base64')}"}`;
    }
    case 'bytes':
    case 'bits':
      return `"${reader.slice().toString('base64')}"`;
    case 'string':
    case 'zoned-timestamp':
    case 'uuid':
    case 'json':
    case 'enum':
    case 'xml':
    case 'ltree':
    case 'tsvector':
    case 'interval':
    case 'zoned-time':
    case 'iso-date':
    case 'iso-time':
    case 'iso-timestamp':
      return JSON.stringify(reader.string());
    case 'double-vector':
      return `[${blockOf(reader, () => number(reader.double())).join(',')}]`;
    case 'float-vector':
      return `[${blockOf(reader, () => number(reader.float())).join(',')}]`;
    case 'sparse-vector': {
      const dimensions = reader.long();
      const entries = blockOf(reader, () => `"${reader.long()}":${number(reader.double())}`);
      return `{"dimensions":${dimensions},"vector":{${entries.join(',')}}}`;
    }
    case 'map':
      return `{${blockOf(reader, () => `${JSON.stringify(reader.string())}:${textOrNull(reader)}`).join(',')}}`;
    case 'geography':
      return `{${geography(reader)}}`;
    case 'geometry':
      return `{${geography(reader)},"extensions":${reader.long() === 0 ? 'null' : jsonOf({ kind: 'map' }, reader)}}`;
    case 'point':
      // It has no order, so no index and no key is made of it.
      throw new Error(`${type.kind} is no type of a key`);
    case 'array':
      return `[${blockOf(reader, () => (reader.long() === 0 ? 'null' : jsonOf(type.items, reader))).join(',')}]`;
  }
}

/** The items of an Avro array or map, as our codecs write them. */
function blockOf(reader: ByteReader, item: () => string): string[] {
  const found: string[] = [];
  for (let count = reader.long(); count !== 0; count = reader.long()) {
    for (let left = count; left > 0; left--) found.push(item());
  }
  return found;
}

const textOrNull = (reader: ByteReader): string =>
  reader.long() === 0 ? 'null' : JSON.stringify(reader.string());

function geography(reader: ByteReader): string {
  const wkb = reader.slice().toString('base64');
  return `"wkb":"${wkb}","srid":${reader.long() === 0 ? 'null' : reader.long()}`;
}

/** JSON has no NaN and no infinity; a string keeps them. */
function number(value: number): string {
  if (!Number.isFinite(value)) return `"${value}"`;
  return Object.is(value, -0) ? '-0.0' : String(value);
}

function decimal(unscaled: Buffer, scale: number): string {
  const value = BigInt.asIntN(unscaled.length * 8, BigInt(`0x${unscaled.toString('hex')}`));
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0');
  const whole = digits.slice(0, digits.length - scale);
  const sign = value < 0n ? '-' : '';
  return scale === 0 ? sign + whole : `${sign}${whole}.${digits.slice(-scale)}`;
}
