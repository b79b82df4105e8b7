import { view, type Output } from './output.ts';
import { shortestDouble, shortestSingle } from './shortest.ts';

const NEGATIVE = 0x4000;
const SPECIALS = new Map([
  [0xc000, 'NaN'],
  [0xd000, 'Infinity'],
  [0xf000, '-Infinity'],
]);

/** numeric_out: all digits, as many after the point as the value shows. */
export const numericOutput: Output = (cell) => {
  const data = view(cell);
  const count = data.getInt16(0);
  const weight = data.getInt16(2);
  const sign = data.getUint16(4);
  const scale = data.getUint16(6);
  const special = SPECIALS.get(sign);
  if (special !== undefined) return special;
  const group = (place: number): string =>
    String(place >= 0 && place < count ? data.getInt16(8 + 2 * place) : 0).padStart(4, '0');
  let whole = '';
  for (let place = 0; place <= weight; place++) whole += group(place);
  let fraction = '';
  for (let place = weight + 1; fraction.length < scale; place++) fraction += group(place);
  const shown = whole.replace(/^0+(?=\d)/, '') || '0';
  return `${sign === NEGATIVE ? '-' : ''}${shown}${scale > 0 ? `.${fraction.slice(0, scale)}` : ''}`;
};

export const float8Output: Output = (cell) => float8Text(view(cell).getFloat64(0));

export const float4Output: Output = (cell) => float4Text(view(cell).getFloat32(0));

export const float4Text = (value: number): string => floatText(value, 6, shortestSingle);
export const float8Text = (value: number): string => floatText(value, 15, shortestDouble);

/** Shortest digits, with an exponent below 1e-4 and from 10^`digits` on. */
function floatText(value: number, digits: 6 | 15, shortest: (value: number) => string): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const [mantissa = '', exponent = '0'] = shortest(value).split('e');
  const power = Number(exponent);
  if (power < -4 || power >= digits) {
    return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
  }
  const sign = mantissa.startsWith('-') ? '-' : '';
  const all = mantissa.replace(/[-.]/g, '');
  if (power < 0) return `${sign}0.${'0'.repeat(-power - 1)}${all}`;
  const whole = all.slice(0, power + 1).padEnd(power + 1, '0');
  const rest = all.slice(power + 1);
  return `${sign}${whole}${rest === '' ? '' : `.${rest}`}`;
}
