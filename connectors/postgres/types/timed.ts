import type { PgType } from '../table.ts';
import { isoDateCodec, isoTimeCodec, isoTimestampCodec } from './iso-times.ts';
import type { TimeMode } from './modes.ts';
import { dateCodec, timeCodec, timestampCodec } from './times.ts';
import type { TypeCodec } from './type-codec.ts';
import { zonedTimestampCodec } from './zoned-times.ts';

/**
 * The codec of a type of time by its precision and the mode; null for other types. The modifier of the
 * time types is their precision; without one they have 6 digits. timestamptz is text in every mode.
 */
export function timedCodec({ oid, modifier }: PgType, mode: TimeMode): TypeCodec | null {
  const precision = modifier < 0 ? 6 : modifier;
  const adaptive = precision <= 3 ? 'ms' : 'us';
  switch (oid) {
    case 1082:
      if (mode === 'isostring') return isoDateCodec;
      return dateCodec(mode === 'connect' ? 'connect' : undefined);
    case 1083:
      if (mode === 'isostring') return isoTimeCodec;
      if (mode === 'adaptive') return timeCodec(adaptive);
      return timeCodec(TIME_UNITS[mode]);
    case 1114:
      if (mode === 'isostring') return isoTimestampCodec;
      if (mode === 'adaptive' || mode === 'adaptive_time_microseconds') {
        return timestampCodec(adaptive);
      }
      return timestampCodec(TIME_UNITS[mode]);
    case 1184:
      return zonedTimestampCodec(precision);
    default:
      return null;
  }
}

const TIME_UNITS = {
  adaptive_time_microseconds: 'us',
  microseconds: 'us',
  nanoseconds: 'ns',
  connect: 'connect',
} as const;
