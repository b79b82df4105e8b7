import { z } from 'zod';

const MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const BYTES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 } as const;

/** A span of time such as `500ms`, `10s`, `7d`; milliseconds inside the system. */
export const duration = () =>
  z
    .string({ error: 'a duration such as 500ms, 10s, 5m, 12h or 7d' })
    .regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, 'a duration such as 500ms, 10s, 5m, 12h or 7d')
    .transform((text) => scaled(text, MS));

/** A duration, or `never`; null inside the system. */
export const durationOrNever = () =>
  z
    .string({ error: 'a duration such as 12h or 7d, or never' })
    .regex(/^(\d+(\.\d+)?(ms|s|m|h|d)|never)$/, 'a duration such as 12h or 7d, or never')
    .transform((text) => (text === 'never' ? null : scaled(text, MS)));

/** A size such as `64KiB`, `4MiB`; bytes inside the system. */
export const size = () =>
  z
    .string({ error: 'a size such as 64KiB, 4MiB or 1GiB' })
    .regex(/^\d+(\.\d+)?(B|KiB|MiB|GiB|TiB)$/, 'a size such as 64KiB, 4MiB or 1GiB')
    .transform((text) => scaled(text, BYTES));

/** A whole number; also as text, which is what an environment variable gives. */
export const whole = (min: number, max: number) => {
  const expected = `a whole number from ${min} to ${max}`;
  return z
    .union([z.number(), z.string().regex(/^\d+$/).transform(Number)], { error: expected })
    .refine((value) => Number.isInteger(value) && value >= min && value <= max, expected);
};

/** true or false; also as text, which is what an environment variable gives. */
export const flag = () =>
  z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')], {
    error: 'true or false',
  });

export const oneOf = <const Values extends readonly [string, ...string[]]>(values: Values) =>
  z.enum(values, { error: `one of: ${values.join(', ')}` });

export const text = (expected: string) => z.string({ error: expected }).min(1, expected);

function scaled(text: string, units: Readonly<Record<string, number>>): number {
  const [, amount = '', unit = ''] = /^([\d.]+)(\D+)$/.exec(text) ?? [];
  return Math.round(Number(amount) * (units[unit] ?? Number.NaN));
}
