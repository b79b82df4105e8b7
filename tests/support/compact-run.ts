import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { topicName, type TopicPartition } from '../../broker/broker.ts';
import { pack, RecordCursor, type PlainRecord } from '../../broker/records.ts';
import { silent } from '../../log.ts';
import {
  compactProcessor,
  type CompactOptions,
  type CompactProcessor,
} from '../../processors/compact/compact.ts';
import { changesTopic, latestTopic } from '../../processors/compact/topics.ts';
import type { TableShape } from '../../schemas/envelope.ts';
import {
  ChangeDecoder,
  ChangeRecords,
  memoryRegistry,
  type Change,
  type DecodedChange,
} from './change-records.ts';
import { TopicLog } from './topic-log.ts';

const raw = topicName('shop', 'public', 'orders');
export const input: TopicPartition = { topic: raw, partition: 0 };
export const changes: TopicPartition = { topic: changesTopic(raw), partition: 0 };
export const latest: TopicPartition = { topic: latestTopic(raw), partition: 0 };

export const table: TableShape = {
  topic: raw,
  columns: [
    { name: 'id', type: { kind: 'int32' }, optional: false },
    { name: 'note', type: { kind: 'string' }, optional: true },
    { name: 'body', type: { kind: 'string' }, optional: true },
  ],
  key: ['id'],
};

export const registry = memoryRegistry();
const records = await ChangeRecords.of(table, registry);
const decoder = new ChangeDecoder(registry);

export const change = (given: Change): PlainRecord => records.record(given);

export const insert = (id: number, version: bigint, body = `body ${id}`): PlainRecord =>
  change({ op: 'c', key: { id }, version, row: { id, note: `v${version}`, body } });

export async function decodedAt(log: TopicLog, at: TopicPartition): Promise<DecodedChange[]> {
  const cursor = new RecordCursor(Buffer.from(pack(log.records(at)).written()));
  const found: DecodedChange[] = [];
  while (cursor.next()) found.push(await decoder.decode(cursor));
  return found;
}

/** A compact stage of one partition, started and stopped at will, with the topics around it. */
export class CompactRun implements Disposable {
  readonly stateDirectory = mkdtempSync(join(tmpdir(), 'compact-'));
  readonly log = new TopicLog();

  make(options: Partial<CompactOptions> = {}): CompactProcessor {
    const { stateDirectory } = this;
    return compactProcessor({ stateDirectory, ...options }, { registry, log: silent });
  }

  /** A processor that has rebuilt its state from what was published. */
  async open(options: Partial<CompactOptions> = {}): Promise<CompactProcessor> {
    const processor = this.make(options);
    await processor.open(input, this.log);
    return processor;
  }

  /** Gives records to the processor, as one batch, and publishes what it makes of them. */
  async give(processor: CompactProcessor, given: readonly PlainRecord[]): Promise<void> {
    const from = this.log.records(input).length;
    this.log.append(input, given);
    let batches = [this.log.batch(input, from, from + given.length)];
    for (let more = true; more; batches = []) {
      const processed = await processor.process(batches);
      ({ more } = processed);
      this.log.publish(processed.outgoing, processed.consumed);
    }
  }

  decoded(at: TopicPartition): Promise<DecodedChange[]> {
    return decodedAt(this.log, at);
  }

  [Symbol.dispose](): void {
    rmSync(this.stateDirectory, { recursive: true });
  }
}
