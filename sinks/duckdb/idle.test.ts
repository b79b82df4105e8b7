import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { silent } from '../../log.ts';
import { batchOf, memoryRegistry, TableChangesBuilder } from '../../tests/support/changes.ts';
import { duckdbSink } from './sink.ts';

test('an idle sink writes a checkpoint and forgets deletes that are old enough', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-idle-'));
  const path = join(folder, 'shop.duckdb');
  const registry = memoryRegistry();
  const columns = [{ name: 'id', type: { kind: 'int32' }, optional: false }] as const;
  const shape = { topic: 'shop.public.t', key: ['id'], columns };
  const builder = await TableChangesBuilder.register(shape, registry);
  const { topic } = builder;
  let now = 1_000_000;
  const options = {
    path,
    pipeline: 'idle',
    prefix: 'shop',
    threads: 1,
    tombstoneRetentionMs: 1000,
    checkpointIdleMs: 1,
  };
  await using sink = duckdbSink(options, { registry, log: silent, now: () => now });
  await sink.open([{ topic, partition: 0 }]);
  const write = (base: number, id: number) =>
    sink.write(
      [batchOf([builder.record({ op: 'd', version: base + 1, before: { id } })], { topic, base })],
      new AbortController().signal,
    );
  const remembered = async (): Promise<unknown[]> =>
    (await sink.query('SELECT id FROM _millrace."tombstones:public.t" ORDER BY id')).rows.flat();
  await write(0, 1);
  now += 900;
  await write(1, 2);
  expect(await remembered()).toEqual([1, 2]);
  now += 200;
  await write(2, 3);
  await vi.waitFor(async () => {
    expect(await remembered()).toEqual([2, 3]);
    const wal = await stat(`${path}.wal`).then(
      ({ size }) => size,
      () => 0,
    );
    expect(wal).toBe(0);
  }, 10_000);
  await sink[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});
