import { topicName, type TopicName } from '../../broker/broker.ts';
import { partitionOf } from '../../broker/partition.ts';
import type { AvroNamed } from '../../schemas/avro.ts';
import { ByteWriter } from '../../schemas/byte-writer.ts';
import { wireHeader } from '../../schemas/registry.ts';
import { avroOf } from '../../schemas/semantic.ts';
import { transactionBlock } from '../../schemas/transaction.ts';
import type { ChangeEvent } from './change-event.ts';
import { namePattern } from './name-pattern.ts';
import type { LogicalMessage } from './pgoutput.ts';
import { postgresSource, SourceBlock } from './source-block.ts';
import { HEARTBEAT_PREFIX } from './slot-monitor.ts';
import type { EncoderContext } from './table-encoder.ts';
import { byteaCodec, byteaTextCodec } from './types/texts.ts';
import type { BinaryMode } from './types/modes.ts';
import type { TypeCodec } from './types/type-codec.ts';

/** Which prefixes of logical messages are captured; `*` stands for any characters. */
export interface MessagePrefixes {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

const NAMESPACE = 'io.debezium.connector.postgresql';
const MESSAGE = 0x6d;
/** As Debezium means to name messages among the tables of a transaction. */
export const MESSAGE_COLLECTION = 'LOGICAL_DECODING_MESSAGE';

const keySchema: AvroNamed = {
  type: 'record',
  name: 'MessageKey',
  namespace: NAMESPACE,
  fields: [{ name: 'prefix', type: ['null', 'string'], default: null }],
  'connect.version': 1,
  'connect.name': `${NAMESPACE}.MessageKey`,
};

/** Debezium's: unlike the envelope of a row it begins with `op`, and has no `ts_us` and `ts_ns`. */
export function messageSchema(binary: BinaryMode): AvroNamed {
  const { namespace: _, ...source } = postgresSource;
  return {
    type: 'record',
    name: 'MessageValue',
    namespace: NAMESPACE,
    fields: [
      { name: 'op', type: 'string' },
      { name: 'ts_ms', type: ['null', 'long'], default: null },
      { name: 'source', type: source },
      { name: 'transaction', type: ['null', transactionBlock], default: null },
      {
        name: 'message',
        type: {
          type: 'record',
          name: 'Message',
          fields: [
            { name: 'prefix', type: ['null', 'string'], default: null },
            { name: 'content', type: ['null', avroOf(codecOf(binary).semantic)], default: null },
          ],
          'connect.version': 1,
          'connect.name': `${NAMESPACE}.Message`,
        },
      },
    ],
    'connect.version': 1,
    'connect.name': `${NAMESPACE}.MessageValue`,
  };
}

function codecOf(mode: BinaryMode): TypeCodec {
  return mode === 'bytes' ? byteaCodec : byteaTextCodec(mode);
}

/** Registers the schemas of `<prefix>.message`; its records can then be written without waiting. */
export async function openLogicalMessages(
  prefixes: MessagePrefixes,
  context: EncoderContext,
): Promise<LogicalMessages> {
  const { registry, prefix, modes } = context;
  const topic = topicName(prefix, 'message');
  const keyId = await registry.register(`${topic}-key`, keySchema);
  const valueId = await registry.register(`${topic}-value`, messageSchema(modes.binary));
  return new LogicalMessages(topic, context, { ...prefixes, keyId, valueId });
}

/** Writes logical messages that users have written. Those of one prefix keep their order. */
export class LogicalMessages {
  readonly #topic: TopicName;
  readonly #context: EncoderContext;
  readonly #keyHeader: Buffer;
  readonly #valueHeader: Buffer;
  readonly #codec: TypeCodec;
  readonly #source: SourceBlock;
  readonly #key = new ByteWriter(64);
  readonly #captures: (prefix: string) => boolean;

  constructor(
    topic: TopicName,
    context: EncoderContext,
    form: MessagePrefixes & { readonly keyId: number; readonly valueId: number },
  ) {
    const { prefix, version, database, modes } = context;
    this.#topic = topic;
    this.#context = context;
    this.#keyHeader = wireHeader(form.keyId);
    this.#valueHeader = wireHeader(form.valueId);
    this.#codec = codecOf(modes.binary);
    this.#captures = prefixFilter(form);
    const place = { schema: '', table: '', collection: MESSAGE_COLLECTION };
    this.#source = new SourceBlock({ version, prefix, database, ...place });
  }

  /** Not our heartbeats, and not what the configuration leaves out. */
  captures(prefix: string): boolean {
    return this.#captures(prefix);
  }

  write({ prefix, content }: LogicalMessage, event: ChangeEvent): void {
    const { buffer, partitions } = this.#context;
    const key = this.#key;
    key.reset();
    key.raw(this.#keyHeader);
    key.byte(2);
    key.string(prefix);
    const partition = partitionOf(key.bytes, key.position, partitions);
    const records = buffer.writer(this.#topic, partition);
    const { out } = records;
    event.head.op = MESSAGE;
    records.start(event.head, key.bytes, key.position);
    out.raw(this.#valueHeader);
    out.string('m');
    out.byte(2);
    out.long(event.head.timestamp);
    this.#source.write(event, out);
    out.byte(2);
    out.string(prefix);
    out.byte(2);
    this.#codec.binary({ bytes: content, start: 0, end: content.length }, out);
    records.endValue();
    records.finish();
  }
}

function prefixFilter({ include, exclude }: MessagePrefixes): (prefix: string) => boolean {
  const [included, excluded] = [include.map(namePattern), exclude.map(namePattern)];
  return (prefix) =>
    prefix !== HEARTBEAT_PREFIX &&
    included.some((pattern) => pattern.test(prefix)) &&
    !excluded.some((pattern) => pattern.test(prefix));
}
