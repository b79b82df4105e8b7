import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { to as copyTo } from 'pg-copy-streams';
import { OutgoingBuffer } from '../broker/outgoing-buffer.ts';
import { snapshotEvent } from '../connectors/postgres/change-event.ts';
import { CopyDecoder, copySelect } from '../connectors/postgres/copy-binary.ts';
import type { Relation } from '../connectors/postgres/pgoutput.ts';
import { PUSHED } from '../connectors/postgres/pushed.ts';
import { StreamEncoder } from '../connectors/postgres/stream-encoder.ts';
import type { StreamMessage } from '../connectors/postgres/stream-message.ts';
import { openTableEncoder } from '../connectors/postgres/table-encoder.ts';
import { tableOfRelation } from '../connectors/postgres/relation.ts';
import { encoderContext, recordedStream } from '../tests/support/recorded-stream.ts';
import { readTable } from '../tests/support/postgres-tables.ts';
import { startDatabase } from '../tests/support/postgres.ts';

/**
 * What encoding costs without the network and without a broker: recorded messages of a real server, and
 * a real COPY stream, into a buffer that is emptied every few thousand changes. One core.
 *
 * `node bench/postgres-codec.ts [rows] [passes]`
 */
const rows = Number(process.argv[2] ?? 200_000);
const passes = Number(process.argv[3] ?? 8);

await using server = await startDatabase();
const { client } = server;
await client.query(`create table t (id bigint primary key, customer_id int, name text, email text,
  amount numeric(12,2), active bool, created_at timestamptz, note text)`);
await client.query(`alter table t replica identity full; create publication p for table t`);

const load = (first: number): string => `insert into t select g, g % 1000, 'Customer ' || g,
  'customer' || g || '@example.com', (g % 100000) / 100.0, g % 2 = 0, now(), repeat('note ', 6)
  from generate_series(${first}, ${first + 999}) g`;

async function inSlot(work: () => Promise<void>): Promise<Map<boolean, StreamMessage[]>> {
  await client.query(`select pg_create_logical_replication_slot('s', 'pgoutput')`);
  await work();
  const found = new Map<boolean, StreamMessage[]>();
  for (const binary of [true, false]) {
    const options = { slot: 's', publication: 'p', binary };
    found.set(binary, together(await recordedStream(client, options)));
  }
  await client.query(`select pg_drop_replication_slot('s')`);
  return found;
}

/** As they lie in a socket's buffer: side by side. */
function together(messages: readonly StreamMessage[]): StreamMessage[] {
  const bytes = Buffer.concat(messages.map((message) => message.bytes));
  let at = 0;
  return messages.map((message) => {
    const start = at;
    at += message.end;
    return { ...message, bytes, start, end: at };
  });
}

const inserts = await inSlot(async () => {
  for (let first = 1; first <= rows; first += 1000) await client.query(load(first));
});
const updates = await inSlot(async () => {
  for (let first = 1; first <= rows; first += 1000) {
    await client.query(
      `update t set amount = amount + 1 where id between ${first} and ${first + 999}`,
    );
  }
});
const singles = await inSlot(async () => {
  for (let i = 1; i <= 20_000; i++)
    await client.query('update t set active = not active where id = $1', [i]);
});
for (const [name, messages] of Object.entries({
  inserts,
  'full updates': updates,
  'one-row transactions': singles,
})) {
  for (const binary of [true, false]) {
    await stream(`${name}, ${binary ? 'binary' : 'text'}`, messages.get(binary) ?? []);
  }
}
await snapshot();

async function stream(name: string, messages: readonly StreamMessage[]): Promise<void> {
  const rates: number[] = [];
  let bytes = 0;
  for (let pass = 0; pass < passes; pass++) {
    const context = encoderContext({ buffer: new OutgoingBuffer(64 << 20), partitions: 4 });
    const encoder = new StreamEncoder({ resume: null });
    const began = process.cpuUsage();
    let until = 0;
    bytes = 0;
    for (const message of messages) {
      if (encoder.changes >= until) {
        bytes += context.buffer.bytes;
        context.buffer.reset();
        encoder.processedAt(Date.now());
        until += 5000;
      }
      if (encoder.push(message) !== PUSHED.needsTable) continue;
      const relation = encoder.relation as Relation;
      const table = tableOfRelation(relation, await readTable(client, 't'));
      encoder.define(relation.oid, await openTableEncoder(table, context));
    }
    const { user, system } = process.cpuUsage(began);
    rates.push((encoder.changes / (user + system)) * 1e6);
    bytes = (bytes + context.buffer.bytes) / encoder.changes;
  }
  report(name, rates, bytes);
}

async function snapshot(): Promise<void> {
  const table = await readTable(client, 't');
  const chunks: Buffer[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _, done) {
      chunks.push(chunk);
      done();
    },
  });
  const sql = `copy (select ${copySelect(table)} from t) to stdout (format binary)`;
  await pipeline(client.query(copyTo(sql)), sink);
  const rates: number[] = [];
  let bytes = 0;
  for (let pass = 0; pass < passes; pass++) {
    const context = encoderContext({ buffer: new OutgoingBuffer(64 << 20), partitions: 4 });
    const encoder = await openTableEncoder(table, context);
    const decoder = new CopyDecoder(encoder, snapshotEvent(123_456_789n, Date.now() * 1000));
    const began = process.cpuUsage();
    bytes = 0;
    for (const chunk of chunks) {
      decoder.push(chunk);
      if (context.buffer.bytes < 4 << 20) continue;
      bytes += context.buffer.bytes;
      context.buffer.reset();
    }
    const { user, system } = process.cpuUsage(began);
    decoder.finish();
    rates.push((decoder.rows / (user + system)) * 1e6);
    bytes = (bytes + context.buffer.bytes) / decoder.rows;
  }
  report('binary COPY', rates, bytes);
}

function report(name: string, rates: readonly number[], bytes: number): void {
  const sorted = rates.toSorted((a, b) => a - b);
  const median = sorted[sorted.length >> 1];
  console.log(
    `${name.padEnd(30)} ${shown(median)} events per CPU second [${shown(sorted[0])}–${shown(sorted.at(-1))}], ${Math.round(bytes)} bytes each`,
  );
}

function shown(rate: number | undefined): string {
  return `${Math.round((rate ?? 0) / 1000)}k`;
}
