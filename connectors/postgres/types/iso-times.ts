import type { ByteWriter } from '../../../schemas/byte-writer.ts';
import { CivilDate, EPOCH_DAYS, Moment } from './moment.ts';
import { clock } from './output/times.ts';
import { two, view } from './output/output.ts';
import { int32At, type Cell, type TypeCodec } from './type-codec.ts';

const moment = new Moment();
const civil = new CivilDate();

/** `2024-02-29Z`. Infinities stay words: ISO 8601 has none. */
export const isoDateCodec = isoCodec('iso-date', {
  binary({ bytes, start }) {
    const days = int32At(bytes, start);
    moment.infinite = days === 0x7fff_ffff ? 1 : days === -0x8000_0000 ? -1 : 0;
    moment.days = days + EPOCH_DAYS;
  },
  text: (cell) => moment.fromText(cell),
  write: () => `${day()}Z`,
});

/** `12:34:56.789Z`, no zeros at the end. */
export const isoTimeCodec = isoCodec('iso-time', {
  binary(cell) {
    moment.infinite = 0;
    moment.micros = Number(view(cell).getBigInt64(0));
  },
  text(cell) {
    moment.infinite = 0;
    moment.timeFromText(cell);
  },
  write: () => `${clock(moment.micros)}Z`,
});

/** `2024-02-29T12:34:56.789Z`, no zeros at the end. */
export const isoTimestampCodec = isoCodec('iso-timestamp', {
  binary: (cell) => moment.fromBinary(cell),
  text: (cell) => moment.fromText(cell),
  write: () => `${day()}T${clock(moment.micros)}Z`,
});

function isoCodec(
  kind: 'iso-date' | 'iso-time' | 'iso-timestamp',
  by: {
    readonly binary: (cell: Cell) => void;
    readonly text: (cell: Cell) => void;
    readonly write: () => string;
  },
): TypeCodec {
  const write = (out: ByteWriter): void => {
    if (moment.infinite === 0) out.string(by.write());
    else out.string(moment.infinite > 0 ? 'infinity' : '-infinity');
  };
  return {
    semantic: { kind },
    binary(cell, out) {
      by.binary(cell);
      write(out);
    },
    text(cell, out) {
      by.text(cell);
      write(out);
    },
  };
}

/** Years are astronomical (0 is 1 BC), with a sign where they have not four digits. */
function day(): string {
  civil.fromDays(moment.days);
  const { year } = civil;
  const digits = String(Math.abs(year)).padStart(4, '0');
  const sign = year < 0 ? '-' : year > 9999 ? '+' : '';
  return `${sign}${digits}-${two(civil.month)}-${two(civil.day)}`;
}
