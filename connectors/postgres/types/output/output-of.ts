import type { PgType } from '../../table.ts';
import {
  arrayOutput,
  multirangeOutput,
  rangeOutput,
  recordOutput,
  vectorOutput,
} from './containers.ts';
import * as geometry from './geometry.ts';
import { intervalOutput } from './interval.ts';
import { inetOutput, macOutput } from './network.ts';
import { float4Output, float8Output, numericOutput } from './numbers.ts';
import type { Output } from './output.ts';
import * as plain from './plain.ts';
import { hstoreOutput, tsvectorOutput } from './search.ts';
import * as times from './times.ts';
import * as vectors from './vectors.ts';

const { textOutput, versionedText } = plain;

/** By oid of pg_type, which never changes for built-in types. */
const BUILT_IN: ReadonlyMap<number, Output> = new Map([
  [16, plain.boolOutput],
  [17, plain.byteaOutput],
  [18, plain.charOutput],
  [19, textOutput],
  [20, plain.int8Output],
  [21, plain.int2Output],
  [22, vectorOutput(plain.int2Output)],
  [23, plain.int4Output],
  [25, textOutput],
  [26, plain.uint4Output],
  [27, plain.tidOutput],
  [28, plain.uint4Output],
  [29, plain.uint4Output],
  [30, vectorOutput(plain.uint4Output)],
  [114, textOutput],
  [142, textOutput],
  [600, geometry.pointOutput],
  [601, geometry.lsegOutput],
  [602, geometry.pathOutput],
  [603, geometry.boxOutput],
  [604, geometry.polygonOutput],
  [628, geometry.lineOutput],
  [650, inetOutput],
  [700, float4Output],
  [701, float8Output],
  [718, geometry.circleOutput],
  [774, macOutput],
  [790, plain.moneyOutput],
  [829, macOutput],
  [869, inetOutput],
  [1042, textOutput],
  [1043, textOutput],
  [1082, times.dateOutput],
  [1083, times.timeOutput],
  [1114, times.timestampOutput],
  [1184, times.timestamptzOutput],
  [1186, intervalOutput],
  [1266, times.timetzOutput],
  [1560, plain.bitOutput],
  [1562, plain.bitOutput],
  [1700, numericOutput],
  [1790, textOutput],
  [2950, plain.uuidOutput],
  [3220, plain.lsnOutput],
  [3614, tsvectorOutput],
  [3802, versionedText],
  [4072, versionedText],
  [5069, plain.uint8Output],
]);

/** Subtypes of the ranges that are built in, by the oids of range and multirange. */
const RANGES: readonly (readonly [range: number, multirange: number, subtype: number])[] = [
  [3904, 4451, 23],
  [3906, 4532, 1700],
  [3908, 4533, 1114],
  [3910, 4534, 1184],
  [3912, 4535, 1082],
  [3926, 4536, 20],
];

/** By name: an extension's type has another oid in every database. */
const EXTENSIONS: Readonly<Record<string, Output>> = {
  citext: textOutput,
  hstore: hstoreOutput,
  ltree: versionedText,
  lquery: versionedText,
  ltxtquery: versionedText,
  vector: vectors.vectorOutput,
  halfvec: vectors.halfvecOutput,
  sparsevec: vectors.sparsevecOutput,
  geometry: plain.ewkbOutput,
  geography: plain.ewkbOutput,
};

/** The name of a type without its schema; null if it is not one that an extension we know makes. */
export function extensionType(type: PgType): string | null {
  const { oid, name, labels, element, range, multirange, fields } = type;
  if (oid < 16_384 || labels !== null || element !== null) return null;
  if ((range ?? multirange ?? fields) !== undefined) return null;
  const found = /^(?:.*\.)?"?(\w+)"?(?:\(.*\))?$/.exec(name)?.[1] ?? '';
  return found in EXTENSIONS ? found : null;
}

/** The output function of a type; null if we know it only from the server. */
export function outputOf(type: PgType): Output | null {
  const known = BUILT_IN.get(type.oid) ?? rangeOf(type.oid);
  if (known !== null) return known;
  if (type.element !== null) return wrapped(type.element, (element) => arrayOf(type, element));
  if (type.labels !== null) return textOutput;
  if (type.range !== undefined) return wrapped(type.range, rangeOutput);
  if (type.multirange !== undefined) return wrapped(type.multirange, multirangeOutput);
  if (type.fields !== undefined) {
    const fields = type.fields.map(outputOf);
    return fields.includes(null) ? null : recordOutput(fields as Output[]);
  }
  const extension = extensionType(type);
  return extension === null ? null : (EXTENSIONS[extension] ?? null);
}

const BOX = 603;

/** What is between the elements of an array: `pg_type.typdelim`. */
export function delimiterOf(element: PgType): string {
  if (element.oid === BOX) return ';';
  return extensionType(element)?.startsWith('geo') === true ? ':' : ',';
}

function arrayOf({ element }: PgType, output: Output): Output {
  return arrayOutput(output, element === null ? ',' : delimiterOf(element));
}

function rangeOf(oid: number): Output | null {
  for (const [range, multirange, subtype] of RANGES) {
    const output = BUILT_IN.get(subtype);
    if (output === undefined) continue;
    if (oid === range) return rangeOutput(output);
    if (oid === multirange) return multirangeOutput(rangeOutput(output));
  }
  return null;
}

function wrapped(inner: PgType, wrap: (output: Output) => Output): Output | null {
  const output = outputOf(inner);
  return output === null ? null : wrap(output);
}
