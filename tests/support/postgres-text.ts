import type { ByteReader } from '../../schemas/byte-reader.ts';
import type { SemanticType } from '../../schemas/semantic.ts';

/** A value read from its Avro form only, as text that Postgres reads. */
export function postgresText(type: SemanticType, reader: ByteReader): string {
  switch (type.kind) {
    case 'boolean':
      return String(reader.boolean());
    case 'int16':
    case 'int32':
    case 'int64':
      return String(reader.bigint());
    case 'float32':
      return minusZero(reader.float());
    case 'float64':
      return minusZero(reader.double());
    case 'string':
    case 'uuid':
    case 'json':
    case 'enum':
      return reader.string();
    case 'bytes':
      return `\\x${reader.slice().toString('hex')}`;
    case 'decimal':
      return `${unscaled(reader.slice())}e-${type.scale}`;
    case 'variable-decimal': {
      const scale = reader.long();
      return `${unscaled(reader.slice())}e-${scale}`;
    }
    case 'date': {
      const days = Number(reader.bigint());
      if (days === 2_146_033_979) return 'infinity';
      return days === -2_147_472_691 ? '-infinity' : isoOf(BigInt(days) * 86_400_000_000n, false);
    }
    case 'time':
      return clock(reader.bigint() * (type.unit === 'ms' ? 1000n : 1n));
    case 'timestamp': {
      const value = reader.bigint();
      if (value === 9_223_372_036_825_200_000n || value === 2n ** 63n - 1n) return 'infinity';
      if (value === -9_223_372_036_832_400_000n || value === -(2n ** 63n)) return '-infinity';
      return isoOf(value * (type.unit === 'ms' ? 1000n : 1n), true);
    }
    case 'zoned-timestamp':
      return fromZoned(reader.string());
    case 'array': {
      const items: string[] = [];
      for (let count = reader.long(); count !== 0; count = reader.long()) {
        for (let i = 0; i < count; i++) {
          if (reader.long() === 0) items.push('NULL');
          else items.push(`"${postgresText(type.items, reader).replaceAll(/["\\]/g, '\\$&')}"`);
        }
      }
      return `{${items.join(',')}}`;
    }
  }
}

function minusZero(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

function unscaled(bytes: Buffer): bigint {
  return BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`));
}

const part = (value: bigint, size = 2): string => String(value).padStart(size, '0');

function clock(micros: bigint): string {
  const seconds = micros / 1_000_000n;
  return `${part(seconds / 3600n)}:${part((seconds / 60n) % 60n)}:${part(seconds % 60n)}.${part(micros % 1_000_000n, 6)}`;
}

/** By JavaScript's own calendar, which is proleptic too; 400 years have a whole number of weeks and days. */
function isoOf(micros: bigint, withTime: boolean): string {
  const era = 146_097n * 86_400_000_000n;
  const eras = micros >= 0n ? micros / era : (micros - era + 1n) / era;
  const rest = micros - eras * era;
  const moment = new Date(Number(rest / 1000n));
  const year = moment.getUTCFullYear() + Number(eras) * 400;
  const shown = String(year > 0 ? year : 1 - year).padStart(4, '0');
  const day = `${shown}-${moment.toISOString().slice(5, 10)}`;
  const dayMicros = ((rest % 86_400_000_000n) + 86_400_000_000n) % 86_400_000_000n;
  return `${day}${withTime ? ` ${clock(dayMicros)}` : ''}${year > 0 ? '' : ' BC'}`;
}

function fromZoned(iso: string): string {
  const match = /^([+-]?\d+)-(\d\d-\d\d)T([\d:.]+)Z$/.exec(iso);
  if (match === null) return iso;
  const year = Number(match[1]);
  const shown = String(year > 0 ? year : 1 - year).padStart(4, '0');
  return `${shown}-${match[2]} ${match[3]}+00${year > 0 ? '' : ' BC'}`;
}
