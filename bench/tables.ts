/** The tables that a hop can move. All have the columns of `orders`; the others have more. */
export type TableKind = 'orders' | 'wide' | 'large';

/** Columns beside those of `orders`: their definitions, and their values for the row whose id is `n`. */
interface More {
  readonly columns: readonly string[];
  readonly values: readonly string[];
  /** How many rows of `orders` one row counts for, so that a run takes about as long. */
  readonly weight: number;
}

const WIDE_MORE = 52;
const wideTypes = [
  { type: 'int', value: (at: number) => `(n * ${at} % 1000000)::int` },
  { type: 'text', value: (at: number) => `'value ' || (n % ${at * 97})` },
  { type: 'numeric(14,3)', value: (at: number) => `(n % 100000)::numeric / ${at}` },
  {
    type: 'timestamptz',
    value: (at: number) => `timestamptz '2024-01-01' + n * ${at} * interval '1 s'`,
  },
];

function wide(): More {
  const all = Array.from({ length: WIDE_MORE }, (_, index) => ({
    name: `c${index + 9}`,
    at: index + 1,
    ...(wideTypes[index % wideTypes.length] as (typeof wideTypes)[number]),
  }));
  return {
    columns: all.map(({ name, type }) => `${name} ${type}`),
    values: all.map(({ at, value }) => value(at)),
    weight: 5,
  };
}

/** What a row has beside the columns of `orders`. */
export const more: Readonly<Record<TableKind, More>> = {
  /** Eight columns of mixed types, about 132 bytes. */
  orders: { columns: [], values: [], weight: 1 },
  /** Sixty columns, about 700 bytes. */
  wide: wide(),
  /** A text of 2 kB that Postgres keeps out of line, so that an update does not send it. */
  large: {
    columns: ['body text'],
    values: ["(SELECT string_agg(md5(n || '-' || part), '') FROM generate_series(1, 64) AS part)"],
    weight: 10,
  },
};

export const tableKinds = Object.keys(more) as readonly TableKind[];

/** Throws if there is none of that name, naming those that there are. */
export function tableKind(name: string): TableKind {
  const found = tableKinds.find((kind) => kind === name);
  if (found === undefined) throw new Error(`no table ${name}; there are ${tableKinds.join(', ')}`);
  return found;
}
