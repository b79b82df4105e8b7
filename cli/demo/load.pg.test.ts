import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../tests/support/postgres.ts';
import { ShopLoad } from './load.ts';
import { draw, generator } from './load-actions.ts';
import { createShop } from './shop.ts';

let server: TestPostgres;
let database: TestDatabase;

beforeAll(async () => {
  server = await startPostgres();
  database = await server.createDatabase();
  await createShop(database.client, { customers: 200, products: 500, orders: 500, views: 100 });
});

afterAll(async () => {
  await database[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

test('the load inserts, updates, deletes, changes keys, adds a column and leaves no trace of what it rolled back', async () => {
  await using load = await ShopLoad.start({ url: database.url, changesPerSecond: 1e6, seed: 1 });
  load.addColumn();
  const { counts } = load;
  const enough = (): boolean =>
    Object.values(counts).every((count) => count > 0) && counts.transactions > 300;
  for (let left = 1000; left > 0 && !enough(); left--) await sleep(20);
  await load.stop();
  expect(enough()).toBe(true);
  const [row] = await database.query(`
    SELECT (SELECT count(*)::int FROM orders WHERE total < 0) AS rolled_back,
           (SELECT count(gift_message)::int FROM orders) > 0 AS column_used,
           (SELECT count(*)::int FROM customers WHERE length(notes) > 10000) > 0 AS long_texts`);
  expect(row).toEqual({ rolled_back: 0, column_used: true, long_texts: true });
});

test('a load that fails says so at the next look and at its end', async () => {
  await using load = await ShopLoad.start({ url: database.url, changesPerSecond: 1e6, seed: 2 });
  await database.query('ALTER TABLE page_views RENAME TO page_views_gone');
  const fails = (): boolean => {
    try {
      load.assertRunning();
      return false;
    } catch {
      return true;
    }
  };
  for (let left = 1000; left > 0 && !fails(); left--) await sleep(20);
  await expect(load.stop()).rejects.toThrow('page_views');
});

const drawn = (seed: number): string[] => {
  const random = generator(seed);
  return Array.from({ length: 100 }, () => `${draw(random).sql}${random()}`);
};

test('the same seed draws the same transactions', () => {
  expect(drawn(7)).toEqual(drawn(7));
  expect(drawn(7)).not.toEqual(drawn(8));
});
