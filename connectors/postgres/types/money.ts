import type { ByteWriter } from '../../../schemas/byte-writer.ts';
import type { DecimalMode } from './modes.ts';
import { view } from './output/output.ts';
import { malformed, textOf, type TypeCodec } from './type-codec.ts';
import { writeBigInteger } from './unscaled.ts';

const MONEY_PRECISION = 19;

/**
 * money: an integer of 64 bits, taken for hundredths. How many places it has is known only to the
 * setting `lc_monetary` of whoever prints it.
 */
export function moneyCodec(mode: DecimalMode): TypeCodec {
  const write = (cents: bigint, out: ByteWriter): void => {
    if (mode === 'precise') writeBigInteger(cents, out);
    else if (mode === 'double') out.double(Number(cents) / 100);
    else out.string(hundredths(cents));
  };
  return {
    semantic:
      mode === 'precise'
        ? { kind: 'decimal', precision: MONEY_PRECISION, scale: 2 }
        : { kind: mode === 'double' ? 'float64' : 'string' },
    binary(cell, out) {
      write(view(cell).getBigInt64(0), out);
    },
    text(cell, out) {
      const found = /^(-?)\$([\d,]+)\.(\d\d)$/.exec(textOf(cell));
      if (found === null) throw malformed('money as `$1,234.56` (lc_monetary = C)');
      const [, sign = '', whole = '', cents = ''] = found;
      write(BigInt(sign + whole.replaceAll(',', '') + cents), out);
    },
  };
}

function hundredths(cents: bigint): string {
  const digits = String(cents < 0n ? -cents : cents).padStart(3, '0');
  return `${cents < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}
