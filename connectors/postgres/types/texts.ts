import type { ByteWriter } from '../../../schemas/byte-writer.ts';
import type { SemanticType } from '../../../schemas/semantic.ts';
import { MillraceError } from '../../../errors.ts';
import { expectSize, malformed } from './type-codec.ts';
import type { Cell, TypeCodec } from './type-codec.ts';

/** A type whose binary form is its text. */
export function textCodec(semantic: SemanticType): TypeCodec {
  return { semantic, binary: copy, text: copy };
}

/** A type of which we know only that it has a text form. The stream must then be in text form, too. */
export const unknownCodec: TypeCodec = {
  semantic: { kind: 'string' },
  binary() {
    throw new MillraceError(
      'SOURCE_FORMAT',
      'A value came in binary form that only its text tells.',
    );
  },
  text: copy,
};

/** jsonb: one byte with the version of its binary form, then the text. */
export const jsonbCodec: TypeCodec = {
  semantic: { kind: 'json' },
  binary({ bytes, start, end }, out) {
    if (bytes[start] !== 1) throw malformed('jsonb of version 1');
    out.slice(bytes, start + 1, end);
  },
  text: copy,
};

const HEX = Buffer.from('0123456789abcdef');

export const uuidCodec: TypeCodec = {
  semantic: { kind: 'uuid' },
  binary(cell, out) {
    expectSize(cell, 16);
    out.reserve(37);
    const { bytes } = out;
    let at = out.position;
    bytes[at++] = 72;
    for (let i = 0; i < 16; i++) {
      if (i === 4 || i === 6 || i === 8 || i === 10) bytes[at++] = 0x2d;
      const byte = cell.bytes[cell.start + i] as number;
      bytes[at++] = HEX[byte >> 4] as number;
      bytes[at++] = HEX[byte & 15] as number;
    }
    out.position = at;
  },
  text: copy,
};

export const byteaCodec: TypeCodec = {
  semantic: { kind: 'bytes' },
  binary: copy,
  text(cell, out) {
    const { bytes, start, end } = cell;
    if (bytes[start] !== 0x5c || bytes[start + 1] !== 0x78 || (end - start) % 2 !== 0) {
      if (start === end) out.byte(0);
      else throw malformed('bytea as `\\x…` (bytea_output = hex)');
      return;
    }
    out.long((end - start - 2) >> 1);
    out.reserve((end - start) >> 1);
    for (let at = start + 2; at < end; at += 2) {
      out.bytes[out.position++] = (nibble(bytes[at]) << 4) | nibble(bytes[at + 1]);
    }
  },
};

function nibble(letter: number | undefined): number {
  const value = letter === undefined ? -1 : HEX.indexOf(letter);
  if (value < 0) throw malformed('hexadecimal digits');
  return value;
}

function copy({ bytes, start, end }: Cell, out: ByteWriter): void {
  const size = end - start;
  if (size < 64) {
    out.reserve(size + 1);
    out.bytes[out.position++] = size << 1;
  } else out.long(size);
  out.raw(bytes, start, end);
}
