import type { PgType } from '../table.ts';
import { arrayCodec } from './arrays.ts';
import { float4Codec, float8Codec } from './floats.ts';
import { boolCodec, int2Codec, int4Codec, int8Codec, oidCodec } from './integers.ts';
import { decimalCodec, variableDecimalCodec } from './numeric.ts';
import { byteaCodec, jsonbCodec, textCodec, unknownCodec, uuidCodec } from './texts.ts';
import { dateCodec, timeCodec, timestampCodec, zonedTimestampCodec } from './times.ts';
import type { TypeCodec } from './type-codec.ts';

export interface ChosenCodec {
  readonly codec: TypeCodec;
  /** What a user should know, without the column's name; null if there is nothing. */
  readonly note: string | null;
  /** False if the value must come as text: by a cast in COPY, by a stream without `binary`. */
  readonly binarySafe: boolean;
}

const string = textCodec({ kind: 'string' });
const json = textCodec({ kind: 'json' });

/** By oid of pg_type, which never changes for built-in types. */
const PLAIN: ReadonlyMap<number, TypeCodec> = new Map([
  [16, boolCodec],
  [17, byteaCodec],
  [19, string],
  [20, int8Codec],
  [21, int2Codec],
  [23, int4Codec],
  [25, string],
  [26, oidCodec],
  [114, json],
  [700, float4Codec],
  [701, float8Codec],
  [1042, string],
  [1043, string],
  [1082, dateCodec],
  [2950, uuidCodec],
  [3802, jsonbCodec],
]);

/** int2vector and oidvector count from 0 and print without braces: not arrays as others are. */
const VECTORS: ReadonlySet<number> = new Set([22, 30]);

/** How the values of a type are written. Never fails: what is not known travels as its text. */
export function codecOf(type: PgType): ChosenCodec {
  if (type.element !== null && !VECTORS.has(type.oid)) return chooseArray(type, type.element);
  if (type.labels !== null) return known(textCodec({ kind: 'enum', allowed: type.labels }));
  const plain = PLAIN.get(type.oid) ?? timed(type);
  if (plain !== null) return known(plain);
  if (type.oid === 1700) return chooseNumeric(type.modifier);
  // An extension's type has another oid in every database.
  if (/^(.*\.)?"?citext"?$/.test(type.name)) return known(string);
  return { codec: unknownCodec, note: `${type.name} travels as text`, binarySafe: false };
}

function known(codec: TypeCodec, note: string | null = null): ChosenCodec {
  return { codec, note, binarySafe: true };
}

/** The modifier of the time types is their precision; without one they have 6 digits. */
function timed({ oid, modifier }: PgType): TypeCodec | null {
  const precision = modifier < 0 ? 6 : modifier;
  if (oid === 1083) return timeCodec(precision);
  if (oid === 1114) return timestampCodec(precision);
  return oid === 1184 ? zonedTimestampCodec(precision) : null;
}

/** numeric's modifier is precision << 16 | scale (11 bits, signed), plus 4 (numerictypmodin). */
function chooseNumeric(modifier: number): ChosenCodec {
  if (modifier < 4) return known(variableDecimalCodec);
  const precision = ((modifier - 4) >> 16) & 0xffff;
  const scale = (((modifier - 4) & 0x7ff) ^ 1024) - 1024;
  if (scale >= 0 && scale <= precision) return known(decimalCodec(precision, scale));
  return known(
    variableDecimalCodec,
    `numeric(${precision},${scale}) travels with a scale per value: Avro has no such decimal`,
  );
}

function chooseArray(type: PgType, element: PgType): ChosenCodec {
  // An array column's modifier is that of its elements.
  const modifier = type.modifier >= 0 ? type.modifier : element.modifier;
  const chosen = codecOf({ ...element, modifier });
  if (!chosen.binarySafe) {
    return { codec: unknownCodec, note: `${type.name} travels as text`, binarySafe: false };
  }
  return known(arrayCodec(chosen.codec), chosen.note);
}
