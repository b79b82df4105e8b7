import type { Broker, TopicName } from '../broker/broker.ts';
import { RecordWriter, type RecordHead } from '../broker/records.ts';

const PUBLISH_BYTES = 2 * 1024 * 1024;
const VALUE_BYTES = 250;
/** Wire header of a schema that nobody looks up, and a bigint. */
const KEY_BYTES = 13;

/** What is told of rows: their ids, whether they are new, and the version of the first. */
export interface SyntheticRows {
  readonly ids: Iterable<number>;
  readonly op: 'r' | 'u';
  readonly version: number;
}

/**
 * Publishes records of the size that rows of `events` have, without a database: for hops about the keys
 * of the compact stage, which reads nothing of a value that is whole.
 */
export async function publishRows(
  broker: Broker,
  topic: TopicName,
  { ids, op, version }: SyntheticRows,
): Promise<void> {
  const records = new RecordWriter(PUBLISH_BYTES);
  const key = Buffer.alloc(KEY_BYTES);
  const value = Buffer.alloc(VALUE_BYTES, 'synthetic ');
  const head: RecordHead = {
    timestamp: Date.now(),
    op: op.charCodeAt(0),
    versionHigh: 0,
    versionLow: version,
  };
  const flush = async (): Promise<void> => {
    await broker.publish([{ topic, partition: 0, records, supersedes: 0 }]);
    records.reset();
  };
  for (const id of ids) {
    key.writeBigInt64BE(BigInt(id), 5);
    value.writeUInt32LE((id * 2_654_435_761) >>> 0, 100);
    records.start(head, key);
    records.out.raw(value);
    records.endValue();
    records.finish();
    head.versionLow++;
    if (records.bytes >= PUBLISH_BYTES) await flush();
  }
  await flush();
}

export function* range(from: number, to: number): Iterable<number> {
  for (let id = from; id < to; id++) yield id;
}

/** Ids of existing rows, scattered, each run of them the same. */
export function* scattered(keys: number, count: number): Iterable<number> {
  for (let index = 0; index < count; index++) yield (index * 7_919_777) % keys;
}
