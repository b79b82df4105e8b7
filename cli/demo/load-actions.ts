import { longText, newCustomer, placeOrders, viewPages } from './shop.ts';

export type Kind = 'inserts' | 'updates' | 'deletes' | 'keyChanges';

/** A transaction of the load. A rolled back one must leave no trace anywhere. */
export interface Action {
  readonly kind: Kind;
  /** How often, against the others. */
  readonly weight: number;
  readonly sql: string;
  readonly values: (random: () => number) => unknown[];
  readonly rollback?: true;
}

const few = (random: () => number): unknown[] => [5 + Math.floor(random() * 10)];
const part = (random: () => number): unknown[] => [random()];

/** Ids near a point drawn at random: $1 is where, from 0 to 1. */
const near = (table: string, count: number): string => `
  IN (SELECT id FROM ${table}
      WHERE id >= (SELECT floor($1::float8 * max(id)) FROM ${table}) ORDER BY id LIMIT ${count})`;

const actions: readonly Action[] = [
  { kind: 'inserts', weight: 20, sql: placeOrders, values: few },
  { kind: 'inserts', weight: 12, sql: viewPages, values: few },
  {
    kind: 'inserts',
    weight: 4,
    sql: `${newCustomer} FROM generate_series(1, $1::int) AS n`,
    values: few,
  },
  {
    kind: 'updates',
    weight: 25,
    sql: `UPDATE orders SET changed_at = clock_timestamp(),
            status = (ARRAY['paid', 'packed', 'shipped', 'delivered', 'returned'])[1 + id % 5]::order_status,
            shipping = jsonb_build_object('carrier', 'post', 'parcels', id % 3, 'at', clock_timestamp())
          WHERE id ${near('orders', 20)}`,
    values: part,
  },
  {
    // The long notes stay as they are: the server does not send them.
    kind: 'updates',
    weight: 12,
    sql: `UPDATE customers SET newsletter = NOT newsletter, tags = array_append(tags[1:3], 'seen'),
            profile = coalesce(profile, '{}') || jsonb_build_object('visits', (random() * 1000)::int)
          WHERE id ${near('customers', 10)}`,
    values: part,
  },
  {
    kind: 'updates',
    weight: 2,
    sql: `UPDATE customers SET notes = ${longText} WHERE id ${near('customers', 1)}`,
    values: part,
  },
  {
    kind: 'updates',
    weight: 8,
    sql: `UPDATE products SET price = price + 0.01, stock = stock - 1, updated_at = clock_timestamp()
          WHERE sku >= (SELECT max(sku) FROM products WHERE $1::float8 < 0.5) OR stock % 97 = 0`,
    values: part,
  },
  {
    kind: 'deletes',
    weight: 6,
    sql: `DELETE FROM orders WHERE id ${near('orders', 4)}`,
    values: part,
  },
  {
    kind: 'deletes',
    weight: 1,
    sql: `DELETE FROM customers WHERE id ${near('customers', 1)}`,
    values: part,
  },
  {
    kind: 'keyChanges',
    weight: 3,
    sql: `UPDATE products SET sku = sku || 'R'
          WHERE sku = (SELECT sku FROM products WHERE length(sku) < 20 ORDER BY md5(sku || $1::float8) LIMIT 1)`,
    values: part,
  },
  {
    kind: 'keyChanges',
    weight: 1,
    sql: `UPDATE order_items SET line = line + 100
          WHERE order_id ${near('orders', 1)} AND line < 100`,
    values: part,
  },
  {
    kind: 'updates',
    weight: 2,
    sql: `UPDATE orders SET total = -1 WHERE id ${near('orders', 20)}`,
    values: part,
    rollback: true,
  },
];

const totalWeight = actions.reduce((sum, action) => sum + action.weight, 0);

/** An action drawn by weight. */
export function draw(random: () => number): Action {
  let left = random() * totalWeight;
  return actions.find((action) => (left -= action.weight) < 0) ?? (actions[0] as Action);
}

/** A small generator of numbers from 0 to 1 with a seed (mulberry32). */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
