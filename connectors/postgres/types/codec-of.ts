import type { PgTable, PgType } from '../table.ts';
import { arrayCodec } from './arrays.ts';
import { BITS_UNBOUNDED, bitFlagCodec, bitsCodec } from './bits.ts';
import { float4Codec, float8Codec } from './floats.ts';
import { geographyCodec, geometryCodec } from './ewkb.ts';
import { boxCodec, pointCodec, polygonCodec } from './geometries.ts';
import { hstoreJsonCodec, hstoreMapCodec } from './hstores.ts';
import { boolCodec, int2Codec, int4Codec, int8Codec, oidCodec } from './integers.ts';
import { durationCodec, isoIntervalCodec } from './intervals.ts';
import type { TypeModes } from './modes.ts';
import { moneyCodec } from './money.ts';
import {
  decimalCodec,
  doubleDecimalCodec,
  keyDecimalCodec,
  stringDecimalCodec,
  variableDecimalCodec,
} from './numeric.ts';
import { delimiterOf, extensionType, outputOf } from './output/output-of.ts';
import { bitOutput } from './output/plain.ts';
import {
  byteaCodec,
  byteaTextCodec,
  jsonbCodec,
  outputCodec,
  textCodec,
  unknownCodec,
  uuidCodec,
} from './texts.ts';
import { timedCodec } from './timed.ts';
import type { TypeCodec } from './type-codec.ts';
import { halfvecCodec, isTooSparse, sparsevecCodec, vectorCodec } from './vectors.ts';
import { zonedTimeCodec } from './zoned-times.ts';

export interface ChosenCodec {
  readonly codec: TypeCodec;
  /** What a user should know, without the column's name; null if there is nothing. */
  readonly note: string | null;
}

/** What the choice depends on besides the type. */
interface Choice {
  readonly modes: TypeModes;
  /** For a column of the primary key: there every value must have bytes of its own. */
  readonly keyed: boolean;
  /** For the elements of an array, whose text is not told one by one: as in keys, where it matters. */
  readonly nested?: boolean;
}

const string = textCodec({ kind: 'string' });

/** By oid of pg_type, which never changes for built-in types. */
const PLAIN: ReadonlyMap<number, TypeCodec> = new Map([
  [16, boolCodec],
  [19, string],
  [20, int8Codec],
  [21, int2Codec],
  [23, int4Codec],
  [25, string],
  [26, oidCodec],
  [114, textCodec({ kind: 'json' })],
  [142, textCodec({ kind: 'xml' })],
  [600, pointCodec],
  [603, boxCodec],
  [604, polygonCodec],
  [700, float4Codec],
  [701, float8Codec],
  [1042, string],
  [1043, string],
  [1266, zonedTimeCodec],
  [2950, uuidCodec],
  [3802, jsonbCodec],
]);

/** The codecs of a table's columns, in their order. */
export function codecsOf(table: PgTable, modes: TypeModes): ChosenCodec[] {
  return table.columns.map(({ name, type }) =>
    chooseCodec(type, { modes, keyed: table.key.includes(name) }),
  );
}

/** False if values must come as text: by a cast in COPY, by a stream without `binary`. */
export function isBinarySafe(type: PgType): boolean {
  return outputOf(type) !== null;
}

/** How the values of a type are written. Never fails: what is not known travels as its text. */
export function chooseCodec(type: PgType, choice: Choice): ChosenCodec {
  const plain =
    PLAIN.get(type.oid) ?? timedCodec(type, choice.modes.time) ?? moded(type, choice) ?? null;
  if (plain !== null) return { codec: plain, note: null };
  if (type.oid === 1700) return numericCodec(type.modifier, choice);
  if (type.labels !== null) {
    return { codec: textCodec({ kind: 'enum', allowed: type.labels }), note: null };
  }
  const output = outputOf(type);
  if (output === null) return { codec: unknownCodec, note: `${type.name} travels as text` };
  // int2vector and oidvector have elements, but no braces.
  if (type.element !== null && type.oid !== 22 && type.oid !== 30) {
    const { element } = type;
    // An array column's modifier is that of its elements.
    const modifier = type.modifier >= 0 ? type.modifier : element.modifier;
    const chosen = chooseCodec({ ...element, modifier }, { ...choice, nested: true });
    const codec = arrayCodec({
      element: chosen.codec,
      output,
      dimensions: Math.max(1, type.dimensions ?? 1),
      delimiter: delimiterOf(element),
    });
    return { codec, note: chosen.note };
  }
  const extension = extensionType(type);
  if (extension === 'sparsevec' && isTooSparse(type.modifier)) {
    return { codec: outputCodec({ kind: 'string' }, output), note: `${type.name} travels as text` };
  }
  const structured = extension === null ? undefined : STRUCTURED[extension];
  if (structured !== undefined) return { codec: structured, note: null };
  const kind = NAMED[extension ?? type.oid] ?? 'string';
  return { codec: outputCodec({ kind }, output), note: null };
}

/** Types of extensions with a form of their own: pgvector, PostGIS. */
const STRUCTURED: Readonly<Record<string, TypeCodec>> = {
  vector: vectorCodec,
  halfvec: halfvecCodec,
  sparsevec: sparsevecCodec,
  geometry: geometryCodec,
  geography: geographyCodec,
};

/** Types that travel as their text under a name. */
const NAMED: Readonly<Record<string | number, 'ltree' | 'tsvector'>> = {
  3614: 'tsvector',
  ltree: 'ltree',
};

/** Types whose form a user may choose. */
function moded(type: PgType, { modes, keyed, nested = false }: Choice): TypeCodec | null {
  const { oid, modifier } = type;
  if (oid === 17) return modes.binary === 'bytes' ? byteaCodec : byteaTextCodec(modes.binary);
  if (oid === 790) return moneyCodec(modes.decimal);
  if (oid === 1186) {
    // The numbers of different intervals may be equal.
    return modes.interval === 'string' || keyed || nested ? isoIntervalCodec : durationCodec;
  }
  if (oid === 1560 && modifier === 1) return bitFlagCodec;
  if (oid === 1560 && modifier > 1) return bitsCodec(modifier);
  if (oid === 1560 || oid === 1562) {
    // Bits of different lengths may have equal bytes.
    if (keyed || nested) return outputCodec({ kind: 'string' }, bitOutput);
    return bitsCodec(modifier < 0 ? BITS_UNBOUNDED : modifier);
  }
  if (extensionType(type) !== 'hstore') return null;
  return modes.hstore === 'json' ? hstoreJsonCodec : hstoreMapCodec;
}

/** numeric's modifier is precision << 16 | scale (11 bits, signed), plus 4 (numerictypmodin). */
function numericCodec(modifier: number, { modes, keyed }: Choice): ChosenCodec {
  if (modes.decimal === 'string') return { codec: stringDecimalCodec, note: null };
  if (modes.decimal === 'double') return { codec: doubleDecimalCodec, note: null };
  const variable = keyed ? keyDecimalCodec : variableDecimalCodec;
  if (modifier < 4) return { codec: variable, note: null };
  const precision = ((modifier - 4) >> 16) & 0xffff;
  const scale = (((modifier - 4) & 0x7ff) ^ 1024) - 1024;
  if (scale >= 0 && scale <= precision) {
    return { codec: decimalCodec(precision, scale), note: null };
  }
  return {
    codec: variable,
    note: `numeric(${precision},${scale}) travels with a scale per value: Avro has no such decimal`,
  };
}
