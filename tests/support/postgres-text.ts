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
    case 'xml':
    case 'ltree':
    case 'tsvector':
    case 'zoned-time':
    case 'interval':
    case 'iso-time':
      return reader.string();
    case 'iso-date': {
      const text = reader.string();
      if (text.endsWith('infinity')) return text;
      return fromZoned(`${text.replace(/Z$/, '')}T00:00:00Z`).replace(/ 00:00:00\+00/, '');
    }
    case 'iso-timestamp':
      return fromZoned(reader.string());
    case 'micro-duration':
      return `${reader.bigint()} microseconds`;
    case 'bits': {
      const bytes = Array.from(reader.slice(), (byte) => byte.toString(2).padStart(8, '0'));
      const bits = bytes.toReversed().join('');
      return bits.slice(Math.max(0, bits.length - type.length));
    }
    case 'point': {
      const point = `(${minusZero(reader.double())},${minusZero(reader.double())})`;
      reader.skipLong();
      reader.skipSlice();
      reader.skipLong();
      return point;
    }
    case 'geometry':
      return geometryText(reader);
    case 'geography':
      return reader.slice().toString('hex').toUpperCase();
    case 'double-vector':
      return `[${blockOf(reader, () => minusZero(reader.double())).join(',')}]`;
    case 'float-vector':
      return `[${blockOf(reader, () => minusZero(reader.float())).join(',')}]`;
    case 'sparse-vector': {
      const dimensions = reader.long();
      const entries = blockOf(reader, () => `${reader.long()}:${minusZero(reader.double())}`);
      return `{${entries.join(',')}}/${dimensions}`;
    }
    case 'map':
      return mapText(reader);
    case 'bytes':
      return `\\x${reader.slice().toString('hex')}`;
    case 'decimal':
      return plainDecimal(unscaled(reader.slice()), type.scale);
    case 'variable-decimal': {
      const scale = reader.long();
      return plainDecimal(unscaled(reader.slice()), scale);
    }
    case 'date': {
      const days = Number(reader.bigint());
      if (days === 2_146_033_979) return 'infinity';
      return days === -2_147_472_691 ? '-infinity' : isoOf(BigInt(days) * 86_400_000_000n, false);
    }
    case 'time':
      if (type.unit === 'ns') return clock(reader.bigint() / 1000n);
      return clock(reader.bigint() * (type.unit === 'ms' ? 1000n : 1n));
    case 'timestamp': {
      const value = reader.bigint();

      if (value === 9_223_372_036_825_200_000n || value === 2n ** 63n - 1n) return 'infinity';
      if (value === -9_223_372_036_832_400_000n || value === -(2n ** 63n)) return '-infinity';
      if (type.unit === 'ns') return isoOf(value / 1000n, true);
      return isoOf(value * (type.unit === 'ms' ? 1000n : 1n), true);
    }
    case 'zoned-timestamp':
      return fromZoned(reader.string());
    case 'array': {
      const items: string[] = [];
      for (let count = reader.long(); count !== 0; count = reader.long()) {
        for (let i = 0; i < count; i++) {
          if (reader.long() === 0) items.push('NULL');
          else if (type.items.kind === 'array') items.push(postgresText(type.items, reader));
          else items.push(`"${postgresText(type.items, reader).replaceAll(/["\\]/g, '\\$&')}"`);
        }
      }
      return `{${items.join(',')}}`;
    }
  }
}

function plainDecimal(value: bigint, scale: number): string {
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0');
  const point = digits.length - scale;
  return `${value < 0n ? '-' : ''}${digits.slice(0, point)}${scale > 0 ? '.' : ''}${digits.slice(point)}`;
}

function blockOf(reader: ByteReader, item: () => string): string[] {
  const items: string[] = [];
  for (let count = reader.long(); count !== 0; count = reader.long()) {
    for (let left = count; left > 0; left--) items.push(item());
  }
  return items;
}

function geometryText(reader: ByteReader): string {
  const wkb = reader.slice();
  if (reader.long() !== 0) reader.skipLong();
  // Of box and polygon the extensions say which it is; PostGIS' geometry has none.
  if (reader.long() === 0) return wkb.toString('hex').toUpperCase();
  const extensions: Record<string, string> = {};
  for (let count = reader.long(); count !== 0; count = reader.long()) {
    for (let left = count; left > 0; left--) extensions[reader.string()] = reader.string();
  }
  const points = Array.from({ length: wkb.readUInt32LE(9) }, (_, at) => {
    const [x, y] = [wkb.readDoubleLE(13 + 16 * at), wkb.readDoubleLE(21 + 16 * at)];
    return `(${minusZero(x)},${minusZero(y)})`;
  });
  if (extensions['type'] === 'box') return `${points[0]},${points[2]}`;
  const count = Number(extensions['points'] ?? Math.max(1, points.length - 1));
  return `(${points.slice(0, count).join(',')})`;
}

const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, '\\$&')}"`;

function mapText(reader: ByteReader): string {
  const pairs: string[] = [];
  for (let count = reader.long(); count !== 0; count = reader.long()) {
    for (let left = count; left > 0; left--) {
      const key = reader.string();
      pairs.push(`${quoted(key)}=>${reader.long() === 0 ? 'NULL' : quoted(reader.string())}`);
    }
  }
  return pairs.join(', ');
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
