import avsc from 'avsc';
import type { Client } from 'pg';
import { OutgoingBuffer } from '../../broker/outgoing-buffer.ts';
import { RecordCursor, type PlainRecord } from '../../broker/records.ts';
import { tableOfRelation } from '../../connectors/postgres/relation.ts';
import type { Relation } from '../../connectors/postgres/pgoutput.ts';
import { PUSHED } from '../../connectors/postgres/pushed.ts';
import { StreamEncoder, type StreamPosition } from '../../connectors/postgres/stream-encoder.ts';
import type { StreamTopics } from '../../connectors/postgres/stream-topics.ts';
import type { StreamMessage } from '../../connectors/postgres/stream-message.ts';
import { openTableEncoder, type EncoderContext } from '../../connectors/postgres/table-encoder.ts';
import type { PgTable } from '../../connectors/postgres/table.ts';
import { DEFAULT_MODES } from '../../connectors/postgres/types/modes.ts';
import type { AvroSchema } from '../../schemas/avro.ts';
import type { SchemaRegistry } from '../../schemas/registry.ts';

/** Schemas in memory, as long as a test lasts. */
export class MemoryRegistry implements SchemaRegistry {
  readonly schemas: AvroSchema[] = [];
  readonly subjects = new Map<string, number[]>();
  readonly #ids = new Map<string, number>();

  register(subject: string, schema: AvroSchema): Promise<number> {
    const text = JSON.stringify(schema);
    const id = this.#ids.get(text) ?? this.schemas.push(schema);
    this.#ids.set(text, id);
    this.subjects.set(subject, [...(this.subjects.get(subject) ?? []), id]);
    return Promise.resolve(id);
  }

  byId(id: number): Promise<AvroSchema> {
    const schema = this.schemas[id - 1];
    return schema === undefined
      ? Promise.reject(new Error(`no schema ${id}`))
      : Promise.resolve(schema);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.schemas.length = 0;
  }
}

export function encoderContext(settings: Partial<EncoderContext> = {}): EncoderContext & {
  readonly registry: MemoryRegistry;
} {
  return {
    buffer: new OutgoingBuffer(),
    prefix: 'gold',
    database: 'shop',
    partitions: 1,
    tombstones: true,
    version: '0.1.0',
    modes: DEFAULT_MODES,
    names: 'avro',
    ...settings,
    registry: (settings.registry ?? new MemoryRegistry()) as MemoryRegistry,
  };
}

/** What waits in a slot, message by message, as the server's own decoding gives it. */
export async function recordedStream(
  client: Client,
  options: { slot: string; publication: string; binary: boolean },
): Promise<StreamMessage[]> {
  const { rows } = await client.query(
    `select lsn::text, data from pg_logical_slot_peek_binary_changes($1, null, null,
       'proto_version', '1', 'publication_names', $2, 'binary', $3, 'messages', 'true')`,
    [options.slot, options.publication, String(options.binary)],
  );
  return rows.map(({ lsn, data }: { lsn: string; data: Buffer }) => {
    const [high, low] = lsn.split('/').map((part) => parseInt(part, 16) | 0);
    return { bytes: data, start: 0, end: data.length, lsnHigh: high ?? 0, lsnLow: low ?? 0 };
  });
}

/** Pushes messages as a session does: tables are looked up when the stream asks for them. */
export async function pushAll(
  messages: readonly StreamMessage[],
  options: {
    context: EncoderContext;
    tables: (relation: Relation) => Promise<PgTable | null>;
    resume?: StreamPosition | null;
    topics?: StreamTopics;
    each?: (encoder: StreamEncoder) => void;
  },
): Promise<StreamEncoder> {
  const { resume = null, topics } = options;
  const encoder = new StreamEncoder({ resume, ...(topics === undefined ? {} : { topics }) });
  encoder.processedAt(1_700_000_000_000);
  for (const message of messages) {
    if (encoder.push(message) === PUSHED.needsTable) {
      const relation = encoder.relation as Relation;
      const table = tableOfRelation(relation, await options.tables(relation));
      encoder.define(relation.oid, await openTableEncoder(table, options.context));
    }
    options.each?.(encoder);
  }
  return encoder;
}

/** All records of a buffer, copied, with their topic and partition. */
export function recordsOf(
  buffer: OutgoingBuffer,
): (PlainRecord & { readonly topic: string; readonly partition: number })[] {
  return buffer.outgoing().flatMap(({ topic, partition, records }) => {
    const cursor = new RecordCursor(Buffer.from(records.written()));
    const found = [];
    while (cursor.next()) found.push({ ...cursor.plain(), topic, partition });
    return found;
  });
}

const types = new WeakMap<MemoryRegistry, Map<number, avsc.Type>>();

/** A wire value as avsc reads it by its registered schema; longs as bigint, bytes as Buffer. */
export function decode(registry: MemoryRegistry, wire: Buffer): Record<string, unknown> {
  const known = types.get(registry) ?? new Map<number, avsc.Type>();
  types.set(registry, known);
  const id = wire.readUInt32BE(1);
  let type = known.get(id);
  if (type === undefined) {
    type = avroType(registry.schemas[id - 1] as AvroSchema);
    known.set(id, type);
  }
  return type.fromBuffer(wire.subarray(5)) as Record<string, unknown>;
}

export function avroType(schema: AvroSchema): avsc.Type {
  const long = avsc.types.LongType.__with({
    fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
    toBuffer: (value: bigint) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64LE(value);
      return bytes;
    },
    fromJSON: (value: number) => BigInt(value),
    toJSON: (value: bigint) => String(value),
    isValid: (value: unknown) => typeof value === 'bigint',
    compare: (left: bigint, right: bigint) => (left < right ? -1 : left > right ? 1 : 0),
  });
  return avsc.Type.forSchema(structuredClone(schema) as avsc.Schema, {
    wrapUnions: false,
    typeHook: (each) =>
      each === 'long' || (typeof each === 'object' && 'type' in each && each.type === 'long')
        ? long
        : undefined,
  });
}
