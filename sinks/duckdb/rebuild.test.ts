import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { silent } from '../../log.ts';
import { create } from '../../tests/conformance/sink-orders.ts';
import { ordersShape } from '../../tests/conformance/sink-under-test.ts';
import { batchOf, memoryRegistry, TableChangesBuilder } from '../../tests/support/changes.ts';
import { offset } from '../../broker/broker.ts';
import { duckdbSink, type DuckdbSink } from './sink.ts';

const signal = new AbortController().signal;
const registry = memoryRegistry();
const orders = await TableChangesBuilder.register(ordersShape(), registry);
const at = { topic: orders.topic, partition: 0 };

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-rebuild-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

const open = (path: string): DuckdbSink =>
  duckdbSink({ path, pipeline: 'crash', prefix: 'shop', threads: 1 }, { registry, log: silent });

const batch = (base: number, count: number) =>
  batchOf(
    Array.from({ length: count }, (_, index) =>
      orders.record(create(base + index + 1, base + index)),
    ),
    { topic: orders.topic, base },
  );

const all = `SELECT schema_name || '.' || table_name FROM duckdb_tables()
  WHERE table_name LIKE '%orders' ORDER BY 1`;

test.each(['in the middle', 'at its end', 'after it took its place'])(
  'a crash %s of a rebuild leaves one whole table and nothing beside it',
  async (when) => {
    const path = join(await temporaryFolder(), 'shop.duckdb');
    await using sink = open(path);
    await sink.open([at]);
    await sink.write([batch(0, 5000)], signal);
    await using rebuild = await sink.rebuild(orders.topic, 'changes');
    await rebuild.write([batch(0, 3000)]);
    expect(await sink.held()).toMatchObject([{ rows: 5000, changes: 5000 }]);
    if (when !== 'in the middle') await rebuild.write([batch(3000, 1000)]);
    if (when.startsWith('after')) await rebuild.replace([{ partition: 0, next: offset(4000) }]);
    // What is on the disk at this moment is what a process that is killed now would leave.
    const folder = await temporaryFolder();
    for (const end of ['', '.wal']) await cp(path + end, join(folder, `shop.duckdb${end}`));
    await using next = open(join(folder, 'shop.duckdb'));
    const [where] = await next.open([at]);
    const rows = when.startsWith('after') ? 4000 : 5000;
    expect(where?.next).toBe(rows);
    expect(await next.held()).toMatchObject([{ rows, changes: rows }]);
    const counted = await next.query('SELECT count(*)::INT, max(id) FROM public.orders');
    expect(counted.rows).toEqual([[rows, rows - 1]]);
    expect((await next.query(all)).rows).toEqual([
      ['_millrace.tombstones:public.orders'],
      ['public.orders'],
    ]);
    await next.write([batch(rows, 10)], signal);
    expect((await next.query('SELECT count(*)::INT FROM public.orders')).rows).toEqual([
      [rows + 10],
    ]);
  },
);
