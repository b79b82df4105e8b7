/** SQL for Postgres: a date or timestamp in ISO 8601, as `timePrecision: isostring` writes it. */
export function isoDate(value: string): string {
  return finite(value, `${day(value)} || 'Z'`);
}

export function isoTimestamp(value: string): string {
  return finite(value, `${day(value)} || 'T' || (${value})::time::text || 'Z'`);
}

/** Infinities stay words. */
function finite(value: string, text: string): string {
  return `CASE WHEN isfinite(${value}) THEN ${text} ELSE ${value}::text END`;
}

/** Years are astronomical (0 is 1 BC), with a sign where they have not four digits. */
function day(value: string): string {
  const since = `extract(year FROM ${value})::int`;
  const year = `(${since} + CASE WHEN ${since} < 0 THEN 1 ELSE 0 END)`;
  const sign = `CASE WHEN ${year} < 0 THEN '-' WHEN ${year} > 9999 THEN '+' ELSE '' END`;
  const digits = `CASE WHEN abs(${year}) > 9999 THEN abs(${year})::text ELSE lpad(abs(${year})::text, 4, '0') END`;
  return `${sign} || ${digits} || '-' || ${twoDigits('month', value)} || '-' || ${twoDigits('day', value)}`;
}

/** Not by to_char, which has dates as timestamps, and those end earlier. */
function twoDigits(part: string, value: string): string {
  return `lpad(extract(${part} FROM ${value})::int::text, 2, '0')`;
}
