import { describe, expect, test } from 'vitest';
import { modeDifferences } from './golden/postgres-differences.ts';
import { compareJson, jsonRecords, part, type JsonRecord } from './support/golden-compare.ts';
import { linesOf } from './support/golden-records.ts';
import { afterSnapshot, beforeSnapshot, replayed } from './support/golden-replay.ts';
import { startPostgres } from './support/postgres.ts';

/**
 * The same SQL as in golden-replay.pg.test.ts under other values of `time.precision.mode`, with
 * `decimal.handling.mode=double`, as a real Debezium 3.7 was recorded.
 */
const TABLES = ['types_time', 'pk_full'] as const;

describe.each(['connect', 'microseconds'] as const)('timePrecision: %s', (mode) => {
  test('gives the records of Debezium, but for what is listed', async () => {
    await using server = await startPostgres();
    await using database = await server.createDatabase();
    await database.query(beforeSnapshot());
    const { records } = await replayed(database, {
      tables: TABLES,
      options: { timePrecision: mode, decimalHandling: 'double' },
      change: async () => {
        for (const statement of afterSnapshot()) await database.query(statement);
      },
      ends: ({ key }) => key?.get('id')?.text === '"999"',
    });
    const theirs = jsonRecords(linesOf(`time-${mode}.jsonl`), (value) => value);
    const listed = modeDifferences[mode];
    const met = new Map<string, string>();
    for (const table of TABLES) {
      for (const snapshot of [true, false]) {
        const topics = [`gold.public.${table}`];
        const mine = part(records, topics, snapshot);
        const their = part(theirs, topics, snapshot);
        expect(mine.map(({ op }) => op)).toEqual(their.map(({ op }) => op));
        for (const [at, record] of mine.entries()) {
          const { key, value } = (their[at] as JsonRecord).line;
          const images = { key, ...(value as Record<'before' | 'after', unknown> | null) };
          for (const image of ['key', 'before', 'after'] as const) {
            const row = record[image];
            const note = (of: string, column: string, _: string, how: string): void => {
              met.set(`${of}.${column}`, how);
            };
            compareJson([table, note], row, images[image] ?? null);
          }
        }
      }
    }
    const unlisted = [...met].filter(([column]) => !(column in listed));
    expect(unlisted).toEqual([]);
    expect([...met.keys()].toSorted()).toEqual(Object.keys(listed).toSorted());
  }, 120_000);
});
