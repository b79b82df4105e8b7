import type { ByteWriter } from '../../../schemas/byte-writer.ts';
import {
  intervalFromText,
  intervalIso,
  intervalMicros,
  intervalParts,
  intervalText,
  type IntervalParts,
} from './output/interval.ts';
import { view } from './output/output.ts';
import { EXACTNESS, sayInexact, textOf, type TypeCodec } from './type-codec.ts';

/** interval as Debezium's one number, which only says it all if there are no days and no months. */
export const durationCodec = intervalCodec('micro-duration', (interval, out) => {
  out.bigint(intervalMicros(interval));
  if (interval.months !== 0 || interval.days !== 0 || interval.infinite !== 0) {
    sayInexact(EXACTNESS.approximate, intervalText(interval));
  }
});

export const isoIntervalCodec = intervalCodec('interval', (interval, out) =>
  out.string(intervalIso(interval)),
);

function intervalCodec(
  kind: 'micro-duration' | 'interval',
  write: (interval: IntervalParts, out: ByteWriter) => void,
): TypeCodec {
  return {
    semantic: { kind },
    binary(cell, out) {
      write(intervalParts(view(cell)), out);
    },
    text(cell, out) {
      write(intervalFromText(textOf(cell)), out);
    },
  };
}
