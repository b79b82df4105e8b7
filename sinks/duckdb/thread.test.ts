import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { offset, type RecordBatch } from '../../broker/broker.ts';
import { silent, type Log } from '../../log.ts';
import { batchOf, memoryRegistry, TableChangesBuilder } from '../../tests/support/changes.ts';
import { SinkThread } from '../thread/sink-thread.ts';
import type { DuckdbSink } from './sink.ts';
import { duckdbSinkInThread } from './thread.ts';

const { signal } = new AbortController();
const registry = memoryRegistry();
const id = { name: 'id', type: { kind: 'int64' }, optional: false } as const;
const name = { name: 'name', type: { kind: 'string' }, optional: true } as const;
const shape = { topic: 'shop.public.orders', key: ['id'], columns: [id] };
const orders = await TableChangesBuilder.register(shape, registry);
const wider = await TableChangesBuilder.register({ ...shape, columns: [id, name] }, registry);
const { topic } = orders;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-thread-'));
});
afterEach(() => rm(folder, { recursive: true }));

const open = (log: Log = silent, within = folder): DuckdbSink =>
  duckdbSinkInThread(
    { path: join(within, 'shop.duckdb'), pipeline: 'thread', prefix: 'shop', threads: 1 },
    { registry, log },
  );

const inserts = (base: number, count: number): RecordBatch =>
  batchOf(
    Array.from({ length: count }, (_, at) =>
      orders.record({ op: 'c', version: base + at + 1, after: { id: base + at } }),
    ),
    { topic, base },
  );

const ids = async (sink: DuckdbSink): Promise<unknown[]> =>
  (await sink.query('SELECT id FROM public.orders ORDER BY id')).rows.flat();

test('what is written is there, and the ledger says where to go on', async () => {
  {
    await using sink = open();
    expect(await sink.open([{ topic, partition: 0 }])).toEqual([]);
    expect(await sink.write([inserts(0, 3)], signal)).toMatchObject({ changes: 3, rows: 3 });
    expect(await ids(sink)).toEqual(['0', '1', '2']);
  }
  await using sink = open();
  expect(await sink.open([{ topic, partition: 0 }])).toEqual([{ topic, partition: 0, next: 3 }]);
  expect(await sink.parked()).toEqual([]);
});

test('a table is made anew beside the one in place, in the same thread', async () => {
  await using sink = open();
  await sink.open([{ topic, partition: 0 }]);
  await sink.write([inserts(0, 3)], signal);
  {
    await using given = await sink.rebuild(topic, 'changes');
    await given.write([inserts(0, 1)]);
  }
  expect(await ids(sink)).toEqual(['0', '1', '2']);
  await using rebuild = await sink.rebuild(topic, 'changes');
  await rebuild.write([inserts(0, 2)]);
  await rebuild.replace([{ partition: 0, next: offset(2) }]);
  expect(await ids(sink)).toEqual(['0', '1']);
  expect(await sink.open([{ topic, partition: 0 }])).toEqual([{ topic, partition: 0, next: 2 }]);
  expect(await sink.held()).toMatchObject([{ topic, rows: 2 }]);
  expect(await sink.pending({ prefix: 'shop' }, { ...shape, columns: [id, name] })).toMatchObject({
    changes: [expect.stringContaining('name')],
  });
});

test('a segment with a buffer of its own is given away, one that shares it is not touched', async () => {
  await using sink = open();
  await sink.open([{ topic, partition: 0 }]);
  const whole = inserts(0, 2);
  const [segment] = whole.segments;
  const bytes = Buffer.from(new Uint8Array(segment?.bytes ?? []).buffer);
  await sink.write(
    [{ ...whole, segments: [{ base: segment?.base ?? offset(0), count: 2, bytes }] }],
    signal,
  );
  expect(bytes.length).toBe(0);
  const rest = inserts(2, 2);
  const shared = rest.segments[0]?.bytes as Buffer;
  expect(shared.buffer.byteLength).toBeGreaterThan(shared.length + 36);
  await sink.write([rest], signal);
  expect(shared.length).toBeGreaterThan(0);
  expect(await ids(sink)).toEqual(['0', '1', '2', '3']);
});

test('errors keep their codes', async () => {
  await using sink = open();
  await expect(sink.write([inserts(0, 1)], signal)).rejects.toMatchObject({ code: 'SINK_FENCED' });
  await expect(sink.query('SELECT 1; SELECT 2')).rejects.toMatchObject({ code: 'QUERY_FAILED' });
  const abort = AbortSignal.abort();
  await expect(sink.query('SELECT 1', { signal: abort })).rejects.toThrow('aborted');
  await expect(sink.write([inserts(0, 1)], abort)).rejects.toThrow('aborted');
});

test('a file that a thread of this process has is refused until it is closed', async () => {
  const sink = open();
  const link = `${folder}.link`;
  await symlink(folder, link);
  onTestFinished(() => rm(link));
  for (const within of [folder, link]) {
    const inUse = expect.objectContaining({ code: 'SINK_IN_USE' });
    expect(() => open(silent, within)).toThrow(inUse);
  }
  await sink[Symbol.asyncDispose]();
  await using again = open();
  expect(await again.parked()).toEqual([]);
});

test('what it logs is logged here', async () => {
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
  await using sink = open(log);
  await sink.open([{ topic, partition: 0 }]);
  await sink.write([inserts(0, 1)], signal);
  const record = wider.record({ op: 'c', version: 9, after: { id: 9, name: 'new' } });
  await sink.write([batchOf([record], { topic, base: 1 })], signal);
  await expect.poll(() => lines.join('')).toContain('a table changed');
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 30, table: 'public.orders' });
});

test('a thread that ends by itself rejects what waits for it', async () => {
  const file = new URL('data:text/javascript,throw new Error("broken")');
  const thread = new SinkThread(file, {}, { registry, log: silent });
  await expect(thread.parked()).rejects.toThrow('broken');
  await expect(thread.parked()).rejects.toThrow('broken');
});
