import { topicName, type TopicName } from '../../broker/broker.ts';
import type { OutgoingBuffer } from '../../broker/outgoing-buffer.ts';
import { ByteWriter } from '../../schemas/byte-writer.ts';
import { wireHeader, type SchemaRegistry } from '../../schemas/registry.ts';
import { transactionKeySchema, transactionValueSchema } from '../../schemas/transaction.ts';

/** How many events of a transaction belong to one table, or are logical messages. */
export interface EventCount {
  readonly collection: string;
  events: number;
}

export interface TransactionEvents {
  readonly total: number;
  readonly counts: readonly EventCount[];
}

/** Registers the schemas of `<prefix>.transaction`; its records can then be written without waiting. */
export async function openTransactionTopic({
  registry,
  buffer,
  prefix,
}: {
  readonly registry: SchemaRegistry;
  readonly buffer: OutgoingBuffer;
  readonly prefix: string;
}): Promise<TransactionTopic> {
  const topic = topicName(prefix, 'transaction');
  const keyId = await registry.register(`${topic}-key`, transactionKeySchema);
  const valueId = await registry.register(`${topic}-value`, transactionValueSchema);
  return new TransactionTopic(topic, buffer, { keyId, valueId });
}

/** Begin and end of transactions, in the order of commits: the topic has one partition. */
export class TransactionTopic {
  readonly #topic: TopicName;
  readonly #buffer: OutgoingBuffer;
  readonly #keyHeader: Buffer;
  readonly #valueHeader: Buffer;
  readonly #key = new ByteWriter(64);

  constructor(
    topic: TopicName,
    buffer: OutgoingBuffer,
    ids: { readonly keyId: number; readonly valueId: number },
  ) {
    this.#topic = topic;
    this.#buffer = buffer;
    this.#keyHeader = wireHeader(ids.keyId);
    this.#valueHeader = wireHeader(ids.valueId);
  }

  /** `millis`: time of the commit. */
  begin(id: string, millis: number): void {
    this.#record(id, millis, null);
  }

  end(id: string, millis: number, events: TransactionEvents): void {
    this.#record(id, millis, events);
  }

  #record(id: string, millis: number, events: TransactionEvents | null): void {
    const key = this.#key;
    key.reset();
    key.raw(this.#keyHeader);
    key.string(id);
    const records = this.#buffer.writer(this.#topic, 0);
    const { out } = records;
    // Without op and version: it is no change of a row.
    const head = { timestamp: millis, op: 0, versionHigh: 0, versionLow: 0 };
    records.start(head, key.bytes, key.position);
    out.raw(this.#valueHeader);
    out.string(events === null ? 'BEGIN' : 'END');
    out.string(id);
    if (events === null) {
      out.byte(0);
      out.byte(0);
    } else writeEvents(events, out);
    out.long(millis);
    records.endValue();
    records.finish();
  }
}

/** `event_count`, and `data_collections` as one block of an Avro array. */
function writeEvents({ total, counts }: TransactionEvents, out: ByteWriter): void {
  out.byte(2);
  out.long(total);
  out.byte(2);
  out.long(counts.length);
  for (const { collection, events } of counts) {
    out.byte(2);
    out.string(collection);
    out.long(events);
  }
  out.byte(0);
}
