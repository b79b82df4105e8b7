import type { ByteWriter } from '../../../schemas/byte-writer.ts';
import { bitOutput } from './output/plain.ts';
import { EXACTNESS, malformed, sayInexact, textOf, type TypeCodec } from './type-codec.ts';

/** What Debezium says of varbit without a length. */
export const BITS_UNBOUNDED = 2_147_483_647;

/**
 * bit(n) and varbit(n): bytes whose last one has the first bits, as many as the value needs. Bits does
 * not say how many bits a value has, so one that is shorter than declared is not exact.
 */
export function bitsCodec(length: number): TypeCodec {
  const write = (bits: string, out: ByteWriter): void => {
    const size = Math.ceil(bits.length / 8);
    out.long(size);
    out.reserve(size);
    for (let end = bits.length; end > 0; end -= 8) {
      out.bytes[out.position++] = parseInt(bits.slice(Math.max(0, end - 8), end), 2);
    }
    if (bits.length !== length) sayInexact(EXACTNESS.approximate, bits);
  };
  return {
    semantic: { kind: 'bits', length },
    binary(cell, out) {
      write(bitOutput(cell), out);
    },
    text(cell, out) {
      const bits = textOf(cell);
      if (!/^[01]*$/.test(bits)) throw malformed('bits as `0` and `1`');
      write(bits, out);
    },
  };
}

/** bit(1) is a boolean, as for Debezium. */
export const bitFlagCodec: TypeCodec = {
  semantic: { kind: 'boolean' },
  binary(cell, out) {
    out.byte(bitOutput(cell) === '1' ? 1 : 0);
  },
  text(cell, out) {
    const bit = textOf(cell);
    if (bit !== '0' && bit !== '1') throw malformed('`0` or `1`');
    out.byte(bit === '1' ? 1 : 0);
  },
};
