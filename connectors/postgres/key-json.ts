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
    case 'point':
    case 'geometry':
    case 'map':
      // Types without an order, and hstore as a map; no index, so no key, is made of them.
      throw new Error(`${type.kind} is no type of a key`);
    case 'array':
      return `[${items(type.items, reader).join(',')}]`;
  }
}

function items(type: SemanticType, reader: ByteReader): string[] {
  const found: string[] = [];
  for (let count = reader.long(); count !== 0; count = reader.long()) {
    for (let i = 0; i < count; i++) found.push(reader.long() === 0 ? 'null' : jsonOf(type, reader));
  }
  return found;
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
