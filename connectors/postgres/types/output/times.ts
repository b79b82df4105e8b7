import { CivilDate, EPOCH_DAYS, Moment } from '../moment.ts';
import { int32At, type Cell } from '../type-codec.ts';
import { two, view, type Output } from './output.ts';

const moment = new Moment();
const date = new CivilDate();

/** Hours, minutes, seconds and as much of a fraction as there is, of microseconds. */
export function clock(micros: number): string {
  const seconds = Math.floor(micros / 1_000_000);
  const minutes = Math.floor(seconds / 60);
  const rest = micros - seconds * 1_000_000;
  const fraction = rest === 0 ? '' : `.${String(rest).padStart(6, '0').replace(/0+$/, '')}`;
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}:${two(seconds % 60)}${fraction}`;
}

function day(days: number): { readonly text: string; readonly era: string } {
  date.fromDays(days);
  const { year, month } = date;
  const shown = String(year > 0 ? year : 1 - year).padStart(4, '0');
  return { text: `${shown}-${two(month)}-${two(date.day)}`, era: year > 0 ? '' : ' BC' };
}

const infinityText = (sign: number): string => (sign > 0 ? 'infinity' : '-infinity');

export const dateOutput: Output = ({ bytes, start }) => {
  const days = int32At(bytes, start);
  if (days === 0x7fff_ffff || days === -0x8000_0000) return infinityText(days);
  const { text, era } = day(days + EPOCH_DAYS);
  return text + era;
};

export const timeOutput: Output = (cell) => clock(Number(view(cell).getBigInt64(0)));

export const timestampOutput: Output = (cell) => stamp(cell, '');
export const timestamptzOutput: Output = (cell) => stamp(cell, '+00');

function stamp(cell: Cell, zone: string): string {
  moment.fromBinary(cell);
  return momentText(moment, zone);
}

export function momentText({ infinite, days, micros }: Moment, zone = ''): string {
  if (infinite !== 0) return infinityText(infinite);
  const { text, era } = day(days);
  return `${text} ${clock(micros)}${zone}${era}`;
}

/** timetz: `i64 microseconds, i32 seconds west of Greenwich`. */
export const timetzOutput: Output = (cell) => {
  const data = view(cell);
  return clock(Number(data.getBigInt64(0))) + offsetText(-data.getInt32(8));
};

/** `+05:30`, as short as it is. */
export function offsetText(east: number): string {
  const seconds = Math.abs(east);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  while (parts.length > 1 && parts.at(-1) === 0) parts.pop();
  return `${east < 0 ? '-' : '+'}${parts.map(two).join(':')}`;
}
