import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { poll, Shell, stopped } from '../support/shell.ts';

const shell = new Shell();

interface Told {
  readonly besides: readonly { topic: string; records: number; partitions: number }[];
  readonly tables: readonly { topics: readonly { records: number }[] }[];
}

test('topics of messages, transactions and definitions are filled beside those of tables, and no stage reads them', async () => {
  shell.configured();
  const file = join(shell.folder, 'millrace.yaml');
  const plain = readFileSync(file, 'utf8');
  const more = '  provideTransactionMetadata: true\n  includeSchemaChanges: true\nsinks:';
  writeFileSync(file, plain.replace('sinks:', more));
  const first = shell.run();
  const lines = 'SELECT count(*)::INT FROM public.lines';
  await expect.poll(() => shell.rowsSoon(lines), poll).toEqual([[700]]);
  await shell.database.query(`
    BEGIN; SELECT pg_logical_emit_message(true, 'outbox', 'hello');
    UPDATE customers SET name = 'new' WHERE id < 100; TRUNCATE "order lines";
    INSERT INTO "order lines" SELECT n, 2, n FROM generate_series(1, 50) n; COMMIT;
    ALTER TABLE customers ADD COLUMN age int; INSERT INTO customers VALUES (501, 'late', 7)`);
  const late = 'SELECT name, age FROM public.customers WHERE id = 501';
  await expect.poll(() => shell.rowsSoon(late), poll).toEqual([['late', 7]]);
  expect(await shell.rows(`SELECT count(*)::INT FROM public.customers WHERE name = 'new'`)).toEqual(
    [[99]],
  );
  expect(await shell.rows(`${lines} WHERE NOT _deleted`)).toEqual([[50]]);
  const written = `SELECT table_name FROM duckdb_tables() WHERE schema_name = 'public' ORDER BY 1`;
  expect(await shell.rows(written)).toEqual([['customers'], ['lines']]);
  const running = await shell.json<Told>('status');
  expect(await first.stop()).toEqual(stopped);
  // Two of the snapshot, then one of each table as the stream begins with it, and one ALTER.
  const expected = [
    { topic: 'shop', records: 5, partitions: 1 },
    { topic: 'shop.message', records: 1, partitions: 2 },
    { topic: 'shop.transaction', records: 4, partitions: 1 },
  ];
  const counted = ({ besides }: Told): unknown =>
    besides
      .map(({ topic, records, partitions }) => ({ topic, records, partitions }))
      .sort((a, b) => (a.topic < b.topic ? -1 : 1));
  expect(counted(running)).toEqual(expected);
  expect(counted(await shell.json<Told>('status'))).toEqual(expected);

  // Nothing of it is wanted any more: the topics stay, and the tables go on.
  writeFileSync(file, plain);
  const second = shell.run();
  await shell.database.query(`INSERT INTO customers VALUES (502, 'later', 8)`);
  const later = 'SELECT name FROM public.customers WHERE id = 502';
  await expect.poll(() => shell.rowsSoon(later), poll).toEqual([['later']]);
  expect(await second.stop()).toEqual(stopped);
});
