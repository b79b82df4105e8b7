import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { expect, test } from 'vitest';
import { silent } from '../../log.ts';
import { create } from '../../tests/conformance/sink-orders.ts';
import { ordersShape } from '../../tests/conformance/sink-under-test.ts';
import { batchOf, memoryRegistry, TableChangesBuilder } from '../../tests/support/changes.ts';
import { temporaryFolder } from '../../tests/temporary-folder.ts';
import { duckdbSink, type DuckdbSink } from './sink.ts';

const never = new AbortController().signal;

/** As somebody does while the pipeline is stopped. */
async function byHand(path: string, sql: string): Promise<void> {
  const instance = await DuckDBInstance.create(path);
  const connection = await instance.connect();
  await connection.run(sql);
  connection.closeSync();
  instance.closeSync();
}

test('a table that somebody altered is parked without a value in the reason, and resumed', async () => {
  const path = join(await temporaryFolder(), 'shop.duckdb');
  const registry = memoryRegistry();
  const orders = await TableChangesBuilder.register(ordersShape(), registry);
  const { topic } = orders;
  const open = async (): Promise<DuckdbSink> => {
    const options = { path, pipeline: 'altered', prefix: 'shop', threads: 1 };
    const sink = duckdbSink(options, { registry, log: silent });
    await sink.open([{ topic, partition: 0 }]);
    return sink;
  };
  const secret = batchOf([orders.record(create(2, 2, 'secret'))], { topic, base: 1 });
  {
    await using sink = await open();
    await sink.write([batchOf([orders.record(create(1, 1))], { topic })], never);
  }
  await byHand(path, 'CREATE UNIQUE INDEX mine ON public.orders (b)');
  await byHand(path, `INSERT INTO public.orders (id, b, "_version") VALUES (3, 2, 0)`);
  {
    await using sink = await open();
    const { refused } = await sink.write([secret], never);
    expect(refused).toMatchObject([
      { code: 'SINK_TABLE_CONFLICT', message: 'DuckDB refuses it with a Constraint Error' },
    ]);
    expect(JSON.stringify(refused)).not.toContain('secret');
  }
  await byHand(path, 'DROP INDEX public.mine');
  {
    await using sink = await open();
    await sink.resume(topic);
    expect(await sink.write([secret], never)).toMatchObject({ changes: 1, refused: [] });
    const { rows } = await sink.query('SELECT id FROM public.orders ORDER BY id');
    expect(rows).toEqual([[1], [2], [3]]);
  }
});
