import type { Canonical } from './canonical.ts';
import { extensionText } from './extension.ts';
import { compareFloats, normaliseFloat } from './float-text.ts';
import { geometryText } from './geometry.ts';

const HUNDREDTHS = /^-?\d+\.\d\d$/;

/** Takes out what the two databases write differently and mean alike. */
export function normalise(type: Canonical, text: string | null): string | null {
  if (text === null) return null;
  switch (type.kind) {
    case 'float':
    case 'rounded':
      return normaliseFloat(text, Number);
    case 'single':
      // Of two decimals that are equally near, each database has its own.
      return normaliseFloat(text, (of) => Math.fround(Number(of)));
    case 'rounded-money':
      // The source's text has its hundredths; the number is made of them as the stream makes it.
      return normaliseFloat(
        HUNDREDTHS.test(text) ? String(Number(BigInt(text.replace('.', ''))) / 100) : text,
        Number,
      );
    case 'time':
      // There may be nine digits after the point.
      return text.replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '');
    case 'decimal':
      // Where all digits are after the point, DuckDB has none before it.
      return text.replace(/^(-?)\./, '$10.');
    case 'bit':
      // bit(1) is a boolean.
      return text === 'true' ? '1' : text === 'false' ? '0' : text;
    case 'date':
      return text.replace('(BC)', 'BC');
    case 'hstore':
      // Without the spaces between its parts. Not by JSON.parse: V8 13.6, which is in Node 24, mistakes a
      // name with an escape for one of an object that it read before.
      return text.replaceAll(/("(?:[^"\\]|\\.)*")|\s+/gs, '$1');
    case 'point':
    case 'box':
    case 'polygon':
      return geometryText(type.kind, text);
    case 'vector':
    case 'halfvec':
    case 'sparsevec':
    case 'ewkb':
      return extensionText(type.kind, text);
    case 'array': {
      const items = JSON.parse(text) as (string | null)[];
      if (type.dimensions > 1) return JSON.stringify(items);
      return JSON.stringify(items.map((item) => normalise(type.items, item)));
    }
    case 'text':
    case 'padded':
    case 'integer':
    case 'boolean':
    case 'uuid':
    case 'bytes':
    case 'timestamp':
    case 'instant':
    case 'interval':
    case 'iso-date':
    case 'iso-time':
    case 'iso-timestamp':
    case 'money':
      return text;
  }
}

/** Whether {@link normalise} does anything. */
export function isNormalised({ kind }: Canonical): boolean {
  return NORMALISED.has(kind);
}

const NORMALISED: ReadonlySet<Canonical['kind']> = new Set([
  'float',
  'single',
  'rounded',
  'rounded-money',
  'decimal',
  'bit',
  'date',
  'time',
  'hstore',
  'point',
  'box',
  'polygon',
  'vector',
  'halfvec',
  'sparsevec',
  'ewkb',
  'array',
]);

/** Order of two canonical texts of one column, as the databases return them; null comes last. */
export function compareText(type: Canonical, a: string | null, b: string | null): number {
  if (a === b) return 0;
  if (a === null || b === null) return a === null ? 1 : -1;
  switch (type.kind) {
    case 'integer':
    case 'timestamp':
    case 'instant':
      return integerOf(a) < integerOf(b) ? -1 : 1;
    case 'float':
    case 'single':
    case 'rounded':
    case 'rounded-money':
      return compareFloats(a, b);
    case 'text':
    case 'padded':
    case 'boolean':
    case 'uuid':
    case 'bytes':
    case 'bit':
    case 'decimal':
    case 'date':
    case 'time':
    case 'iso-date':
    case 'iso-time':
    case 'iso-timestamp':
    case 'interval':
    case 'money':
    case 'hstore':
    case 'point':
    case 'box':
    case 'polygon':
    case 'vector':
    case 'halfvec':
    case 'sparsevec':
    case 'ewkb':
    case 'array':
      return Buffer.compare(Buffer.from(a), Buffer.from(b));
  }
}

/** Infinite times are outside of all that 64 bits can say. */
function integerOf(text: string): bigint {
  if (text === 'infinity') return 1n << 64n;
  return text === '-infinity' ? -(1n << 64n) : BigInt(text);
}
