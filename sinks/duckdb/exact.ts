import { MillraceError } from '../../errors.ts';
import { bitsBlob } from './bits.ts';
import { instantMicros } from './instant.ts';
import { intervalFromText } from './interval.ts';
import { FixedVector, ListVector, SliceVector, type ColumnVector } from './vector.ts';
import { writeBigWords } from './words.ts';

/**
 * Writes a value that the topic's type could not say, from its text in the header `millrace.exact`, over
 * what was read from the image. Throws `VALUE_UNSUPPORTED` if the column cannot hold it either: it is
 * never written as something else.
 */
export function writeExact(
  text: string,
  column: { readonly name: string; readonly sqlType: string; readonly vector: ColumnVector },
  row: number,
): void {
  const { sqlType, vector } = column;
  if (vector instanceof SliceVector) {
    if (sqlType === 'VARCHAR' || sqlType === 'BIT') {
      vector.values[row] = sqlType === 'BIT' ? bitsBlob(text) : Buffer.from(text);
      return;
    }
    const sparse = sqlType === 'JSON' ? SPARSE.exec(text) : null;
    if (sparse !== null) {
      const [, entries = '', dimensions = ''] = sparse;
      const named = entries.replaceAll(/(\d+):/g, '"$1":');
      vector.values[row] = Buffer.from(`{"dimensions":${dimensions},"vector":{${named}}}`);
      return;
    }
  } else if (vector instanceof ListVector && sqlType === 'VARCHAR[]') {
    if (writeTexts(text, vector, row)) return;
  } else if (vector instanceof FixedVector && writeFixed(text, { sqlType, vector }, row)) {
    vector.setValid(row);
    return;
  }
  throw new MillraceError(
    'VALUE_UNSUPPORTED',
    `a value of column ${column.name} has no place in ${sqlType}`,
    { expected: `values that ${sqlType} can hold`, remedy: remedyFor(sqlType) },
  );
}

/** A sparse vector of more dimensions than its semantic type counts. */
const SPARSE = /^\{((?:\d+:[-+.e\d]+(?:,|(?=\})))*)\}\/(\d+)$/;

const ITEM = /"((?:[^"\\]|\\.)*)"|([^,"{}]+)/gs;

/** Writes the items of an array's text; false if it has bounds or several dimensions. */
function writeTexts(text: string, vector: ListVector, row: number): boolean {
  const { items } = vector;
  if (!/^\{(?!\{)/.test(text) || !(items instanceof SliceVector)) return false;
  const start = vector.itemCount;
  for (const [, quoted, plain] of text.slice(1, -1).matchAll(ITEM)) {
    const at = vector.add();
    if (plain === 'NULL') items.setNull(at);
    else items.values[at] = Buffer.from(plain ?? quoted?.replaceAll(/\\(.)/gs, '$1') ?? '');
  }
  vector.end(row, start);
  vector.setValid(row);
  return true;
}

function writeFixed(
  text: string,
  { sqlType, vector }: { sqlType: string; vector: FixedVector },
  row: number,
): boolean {
  if (sqlType === 'INTERVAL') {
    intervalFromText(text, vector, row);
    return true;
  }
  const iso = sqlType === 'TIME' ? `1970-01-01 ${text}` : sqlType === 'TIMESTAMP' ? text : null;
  const found = iso === null ? null : MOMENT.exec(iso);
  if (found === null) return false;
  const [, year = '', rest = '', clock = '', era] = found;
  // Where DuckDB ends; a timestamp that comes here as text is mostly one that is past it.
  if (Number(year) >= 294_247) return false;
  const shown = era === undefined ? year : `-${String(Number(year) - 1).padStart(4, '0')}`;
  const sign = era === undefined && year.length > 4 ? '+' : '';
  const bytes = Buffer.from(`${sign}${shown}${rest}T${clock}Z`);
  writeBigWords(BigInt(instantMicros(bytes, 0, bytes.length)), vector.i32, row * 2);
  return true;
}

const MOMENT = /^(\d{4,})(-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,6})?)( BC)?$/;

function remedyFor(sqlType: string): string {
  if (sqlType.startsWith('DECIMAL')) {
    return 'Correct the value, or set `decimalHandling: string` at the source and build the table anew.';
  }
  if (sqlType.startsWith('TIMESTAMP')) {
    return 'Correct the value, or set `timePrecision: isostring` at the source and build the table anew.';
  }
  if (sqlType.endsWith('[]')) {
    return 'Give the column as many dimensions as its arrays have (integer[][]), and count them from 1 (a[:]).';
  }
  return 'Correct the value at the source.';
}
