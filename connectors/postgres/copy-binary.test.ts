import { pipeline } from 'node:stream/promises';
import { Writable } from 'node:stream';
import { to as copyTo } from 'pg-copy-streams';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readTable } from '../../tests/support/postgres-tables.ts';
import {
  decode,
  encoderContext,
  pushAll,
  recordedStream,
  recordsOf,
} from '../../tests/support/recorded-stream.ts';
import { startDatabase, type TestDatabase } from '../../tests/support/postgres.ts';
import { snapshotEvent } from './change-event.ts';
import { CopyDecoder, copySelect } from './copy-binary.ts';
import { openTableEncoder } from './table-encoder.ts';
import type { PgTable } from './table.ts';
import { TEXT_SETTINGS } from './types/type-codec.ts';

let server: TestDatabase;
let table: PgTable;
let stream: Buffer;

const ROWS = 5;
const LSN = 0x1_8000_0010n;

beforeAll(async () => {
  server = await startDatabase();
  const { client } = server;
  for (const [name, value] of Object.entries(TEXT_SETTINGS)) {
    await client.query(`set ${name} = '${value}'`);
  }
  await client.query(`create type pair as (a int, b text);
    create table t(id int primary key, "odd ""name" text, ip inet, p pair, iv interval, big bytea, ips inet[]);
    create publication p for table t`);
  await client.query(`select pg_create_logical_replication_slot('s', 'pgoutput')`);
  await client.query(`insert into t values (1, 'a', '10.0.0.1', row(1, 'x'), '1 day', '\\x00ff', '{10.0.0.1,NULL}'),
    (2, null, null, null, null, null, null), (3, '', '::1/64', row(null, null), '-1 mon', '', '{}'),
    (4, repeat('long ', 20000), null, null, null, null, null), (5, 'last', null, null, null, null, null)`);
  table = await readTable(client, 't');
  const chunks: Buffer[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _, done) {
      chunks.push(chunk);
      done();
    },
  });
  const sql = `copy (select ${copySelect(table)} from t order by id) to stdout (format binary)`;
  await pipeline(client.query(copyTo(sql)), sink);
  stream = Buffer.concat(chunks);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function decodeInPieces(sizes: readonly number[]): Promise<unknown[]> {
  const context = encoderContext();
  const event = snapshotEvent(LSN, 1_700_000_000_123_456);
  const decoder = new CopyDecoder(await openTableEncoder(table, context), event);
  let at = 0;
  for (let i = 0; at < stream.length; i++) {
    const piece = Buffer.from(stream.subarray(at, at + sizes[i % sizes.length]!));
    at += piece.length;
    decoder.push(piece);
    piece.fill(0xee);
  }
  decoder.finish();
  expect(decoder.rows).toBe(ROWS);
  return recordsOf(context.buffer).map(({ value, version, op }) => ({
    version,
    op,
    ...decode(context.registry, value!),
  }));
}

test('a row of the snapshot is a read event with the version and time of the snapshot', async () => {
  const [first] = await decodeInPieces([stream.length]);
  expect(first).toMatchObject({
    op: 'r',
    version: LSN,
    before: null,
    after: { id: 1, odd__name: 'a', ip: '10.0.0.1', p: '(1,x)', big: Buffer.of(0, 0xff) },
    source: {
      snapshot: 'true',
      txId: null,
      lsn: LSN,
      sequence: `[null,"${LSN}"]`,
      ts_ms: 1_700_000_000_123n,
      ts_ns: 1_700_000_000_123_456_000n,
    },
    ts_us: 1_700_000_000_123_456n,
  });
});

test('rows are the same wherever the stream is cut', async () => {
  const whole = await decodeInPieces([stream.length]);
  expect(whole.length).toBe(ROWS);
  for (const sizes of [[1], [2, 3], [7], [19], [64], [1000], [65_536], [stream.length - 1, 1]]) {
    expect(await decodeInPieces(sizes)).toEqual(whole);
  }
});

test('the snapshot and a text stream say the same of every value', async () => {
  const context = encoderContext();
  const messages = await recordedStream(server.client, {
    slot: 's',
    publication: 'p',
    binary: false,
  });
  await pushAll(messages, { context, tables: () => Promise.resolve(table) });
  const streamed = recordsOf(context.buffer).map(
    ({ value }) => decode(context.registry, value!)['after'],
  );
  const copied = (await decodeInPieces([100])).map((each) => (each as { after: unknown }).after);
  expect(copied).toEqual(streamed);
});

test('a stream that ends early, goes on after its end or is no COPY is refused', async () => {
  const early = await open();
  early.push(stream.subarray(0, stream.length - 1));
  expect(() => early.finish()).toThrow(/before its trailer/);
  const late = await open();
  late.push(stream);
  expect(() => late.push(Buffer.of(0, 7))).toThrow(/after its trailer/);
  const text = await open();
  expect(() => text.push(Buffer.alloc(40, 'x'))).toThrow(/signature/);
});

async function open(): Promise<CopyDecoder> {
  const encoder = await openTableEncoder(table, encoderContext());
  return new CopyDecoder(encoder, snapshotEvent(1n, 1));
}
