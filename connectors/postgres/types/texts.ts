import type { ByteWriter } from '../../../schemas/byte-writer.ts';
import type { SemanticType } from '../../../schemas/semantic.ts';
import { MillraceError } from '../../../errors.ts';
import type { BinaryMode } from './modes.ts';
import type { Output } from './output/output.ts';
import { expectSize, malformed } from './type-codec.ts';
import type { Cell, TypeCodec } from './type-codec.ts';

/** A type whose binary form is its text. */
export function textCodec(semantic: SemanticType): TypeCodec {
  return { semantic, binary: copy, text: copy };
}

/** A type that travels as Postgres prints it, whatever its binary form is. */
export function outputCodec(semantic: SemanticType, output: Output): TypeCodec {
  return {
    semantic,
    binary(cell, out) {
      out.string(output(cell));
    },
    text: copy,
  };
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

/** bytea as text, for those who want it so. */
export function byteaTextCodec(mode: Exclude<BinaryMode, 'bytes'>): TypeCodec {
  const encoded = (bytes: Buffer): string => {
    if (mode === 'hex') return bytes.toString('hex');
    const text = bytes.toString('base64');
    // With its padding, as java.util.Base64 writes it.
    return mode === 'base64' ? text : text.replaceAll('+', '-').replaceAll('/', '_');
  };
  return {
    semantic: { kind: 'string' },
    binary({ bytes, start, end }, out) {
      out.string(encoded(bytes.subarray(start, end)));
    },
    text({ bytes, start, end }, out) {
      if (start === end) return out.byte(0);
      if (bytes[start] !== 0x5c || bytes[start + 1] !== 0x78) throw notHex();
      out.string(encoded(Buffer.from(bytes.toString('latin1', start + 2, end), 'hex')));
    },
  };
}

export const byteaCodec: TypeCodec = {
  semantic: { kind: 'bytes' },
  binary: copy,
  text(cell, out) {
    const { bytes, start, end } = cell;
    if (bytes[start] !== 0x5c || bytes[start + 1] !== 0x78 || (end - start) % 2 !== 0) {
      if (start === end) out.byte(0);
      else throw notHex();
      return;
    }
    out.long((end - start - 2) >> 1);
    out.reserve((end - start) >> 1);
    for (let at = start + 2; at < end; at += 2) {
      out.bytes[out.position++] = (nibble(bytes[at]) << 4) | nibble(bytes[at + 1]);
    }
  },
};

function notHex(): Error {
  return malformed('bytea as `\\x…` (bytea_output = hex)');
}

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
