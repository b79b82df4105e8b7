import type { ByteWriter } from '../../../schemas/byte-writer.ts';
import type { SemanticType } from '../../../schemas/semantic.ts';
import { doubleOfSingle } from './output/shortest.ts';
import {
  halfNumbers,
  sparseNumbers,
  sparsevecOutput,
  vectorNumbers,
  type Sparse,
} from './output/vectors.ts';
import { EXACTNESS, malformed, sayInexact, textOf } from './type-codec.ts';
import type { Cell, TypeCodec } from './type-codec.ts';

/**
 * vector: its numbers as doubles, as Debezium has them: those nearest to the text, 0.1 and not
 * 0.10000000149011612. The nearest single is the number of Postgres either way.
 */
export const vectorCodec = denseCodec({
  semantic: { kind: 'double-vector' },
  numbers: (cell) => vectorNumbers(cell).map(doubleOfSingle),
  put: (number, out) => out.double(number),
});

/** halfvec: its numbers in single precision, which holds them exactly. */
export const halfvecCodec = denseCodec({
  semantic: { kind: 'float-vector' },
  numbers: halfNumbers,
  put: (number, out) => out.float(number),
});

interface Dense {
  readonly semantic: SemanticType;
  readonly numbers: (cell: Cell) => readonly number[];
  readonly put: (number: number, out: ByteWriter) => void;
}

function denseCodec({ semantic, numbers, put }: Dense): TypeCodec {
  const write = (values: readonly number[], out: ByteWriter): void => {
    if (values.length > 0) out.long(values.length);
    for (const value of values) put(value, out);
    out.byte(0);
  };
  return {
    semantic,
    binary: (cell, out) => write(numbers(cell), out),
    text(cell, out) {
      const text = textOf(cell);
      if (!/^\[[^\]]*\]$/.test(text)) throw malformed('a vector as `[1,2]`');
      write(text.slice(1, -1).split(',').map(numberOf), out);
    },
  };
}

/** Debezium counts dimensions in 16 bits; pgvector has up to a thousand million. */
const DIMENSIONS_MAX = 0x7fff;

/** sparsevec: its dimensions, and its numbers by their place from 1. One of more dimensions is no value. */
export const sparsevecCodec: TypeCodec = {
  semantic: { kind: 'sparse-vector' },
  binary(cell, out) {
    const { dimensions, entries } = sparseNumbers(cell);
    if (dimensions > DIMENSIONS_MAX) return placeholder(sparsevecOutput(cell), out);
    write({ dimensions, entries: entries.map(([at, value]) => [at, doubleOfSingle(value)]) }, out);
  },
  text(cell, out) {
    const text = textOf(cell);
    const [, items, dimensions] = /^\{([^}]*)\}\/(\d+)$/.exec(text) ?? [];
    if (items === undefined) throw malformed('a sparse vector as `{1:2}/3`');
    if (Number(dimensions) > DIMENSIONS_MAX) return placeholder(text, out);
    const entries = (items === '' ? [] : items.split(',')).map((item) => {
      const [place = '', value = ''] = item.split(':');
      return [numberOf(place), numberOf(value)] as const;
    });
    write({ dimensions: Number(dimensions), entries }, out);
  },
};

/** True of a `sparsevec(n)` whose values may have more dimensions than its semantic type counts. */
export const isTooSparse = (modifier: number): boolean => modifier > DIMENSIONS_MAX;

function placeholder(text: string, out: ByteWriter): void {
  out.long(0);
  out.byte(0);
  sayInexact(EXACTNESS.placeholder, text);
}

function write({ dimensions, entries }: Sparse, out: ByteWriter): void {
  out.long(dimensions);
  if (entries.length > 0) out.long(entries.length);
  for (const [place, value] of entries) {
    out.long(place);
    out.double(value);
  }
  out.byte(0);
}

function numberOf(text: string): number {
  const value = Number(text);
  if (text === '' || Number.isNaN(value)) throw malformed('a number');
  return value;
}
