import type { Client } from 'pg';
import { decode, encoderContext, pushAll, recordedStream, recordsOf } from './recorded-stream.ts';
import { readTable } from './postgres-tables.ts';
import type { Relation } from '../../connectors/postgres/pgoutput.ts';
import type { StreamMessage } from '../../connectors/postgres/stream-message.ts';
import type { EncoderContext } from '../../connectors/postgres/table-encoder.ts';
import type { PgTable } from '../../connectors/postgres/table.ts';

let schemas = 0;

/** Runs SQL in a schema of its own, one statement per transaction, and gives the bytes of its stream. */
export async function record(
  client: Client,
  statements: readonly string[],
  binary = true,
): Promise<{ messages: StreamMessage[]; tables: (relation: Relation) => Promise<PgTable | null> }> {
  const name = `s${++schemas}`;
  await client.query(`create schema ${name}; set search_path = ${name}`);
  const [before, ...after] = statements;
  await client.query(before ?? '');
  await client.query(`create publication ${name} for tables in schema ${name}`);
  await client.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [name]);
  for (const statement of after) await client.query(statement);
  const messages = await recordedStream(client, { slot: name, publication: name, binary });
  await client.query(`select pg_drop_replication_slot($1)`, [name]);
  // Nothing changes any more, so each table is looked up once.
  const known = new Map<number, Promise<PgTable | null>>();
  return {
    messages,
    tables: ({ oid, schema, name: table }) => {
      const found = known.get(oid) ?? readTable(client, `"${schema}"."${table}"`).catch(() => null);
      known.set(oid, found);
      return found;
    },
  };
}

export interface Seen {
  readonly op: string;
  readonly key: unknown;
  readonly before: unknown;
  readonly after: unknown;
  readonly unchanged: unknown;
  readonly version: bigint | undefined;
}

/** What the records of a buffer say, decoded. */
export function seen(context: ReturnType<typeof encoderContext>): Seen[] {
  return recordsOf(context.buffer).map(({ key, value, headers, version }) => {
    const envelope = value === null ? null : decode(context.registry, value);
    const unchanged = headers?.find(({ name }) => name === 'millrace.unchanged')?.value;
    return {
      op: envelope === null ? 'tombstone' : String(envelope['op']),
      key: key === null ? null : decode(context.registry, key),
      before: envelope?.['before'] ?? null,
      after: envelope?.['after'] ?? null,
      unchanged: unchanged ? JSON.parse(String(unchanged)) : null,
      version,
    };
  });
}

/** Runs SQL and gives what its stream became. */
export async function encode(
  client: Client,
  statements: readonly string[],
  settings: Partial<EncoderContext> = {},
): Promise<Seen[]> {
  const { messages, tables } = await record(client, statements);
  const context = encoderContext(settings);
  await pushAll(messages, { context, tables });
  return seen(context);
}
