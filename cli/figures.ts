/** Figures as people read them. */

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let scaled = value;
  let unit = 0;
  while (scaled >= 1024 && unit < units.length - 1) {
    scaled /= 1024;
    unit++;
  }
  return `${unit === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${units[unit]}`;
}

/** `0.034 s`, `12.3 s`; `-` if not known. */
export function seconds(value: number | null): string {
  if (value === null) return '-';
  return `${value < 10 ? value.toFixed(3) : value.toFixed(1)} s`;
}

/** `45s`, `3m 20s`, `2h 5m`, `4d 3h`; `7d`. */
export function span(milliseconds: number): string {
  const total = Math.max(0, Math.round(milliseconds / 1000));
  const [days, hours] = [Math.floor(total / 86_400), Math.floor(total / 3600) % 24];
  const [minutes, rest] = [Math.floor(total / 60) % 60, total % 60];
  const parts = [`${days}d`, `${hours}h`, `${minutes}m`, `${rest}s`];
  const first = [days, hours, minutes].findIndex((value) => value > 0);
  if (first < 0) return `${rest}s`;
  return parts
    .slice(first, first + 2)
    .filter((part, at) => at === 0 || !part.startsWith('0'))
    .join(' ');
}
