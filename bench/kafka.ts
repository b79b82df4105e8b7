import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as KafkaJs from 'kafkajs';
import { type Broker, topicName, type TopicName } from '../broker/broker.ts';
import { openEmbedded } from '../broker/embedded/embedded.ts';
import { openKafka } from '../broker/kafka/kafka.ts';
import { RecordCursor, RecordWriter } from '../broker/records.ts';
import { silent } from '../log.ts';
import { noise } from '../tests/noise.ts';
import { startKafka } from '../tests/support/kafka.ts';

/**
 * `node bench/kafka.ts [records]`: publishing and reading of the port over a real Kafka, beside the same over
 * kafkajs alone and over the embedded broker. One node, on this machine, which everything shares. The runs of
 * the contenders take turns; the best of three is shown, with what it cost this process.
 */
const RECORDS = Number(process.argv[2] ?? 300_000);
const PARTITIONS = 4;
/** Records of one transaction. */
const TOGETHER = 8_000;
const ROUNDS = 3;

/** About 350 bytes a record, half of which does not repeat. */
const value = Buffer.concat([Buffer.alloc(150, 'value '), noise(170)]);

interface Contender {
  readonly name: string;
  publish(topic: TopicName): Promise<void>;
  read(topic: TopicName): Promise<void>;
}

const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
await using kafka = await startKafka();
await using overKafka = await openKafka({ brokers: kafka.brokers }, silent);
await using embedded = await openEmbedded({ path: folder }, silent);
const { Kafka, logLevel, Partitioners } = createRequire(import.meta.url)(
  'kafkajs',
) as typeof KafkaJs;
const contenders = [
  port('Millrace over Kafka', overKafka),
  kafkaJs(kafka.brokers),
  port('Millrace embedded', embedded.broker),
];

const best = new Map<string, { rate: number; perCpu: number }>();
for (let round = 0; round < ROUNDS; round++) {
  for (const contender of contenders) {
    const topic = topicName('bench', `${round}`, contender.name);
    for (const broker of [overKafka, embedded.broker]) {
      await broker.createTopics([
        {
          topic,
          partitions: PARTITIONS,
          cleanup: 'delete',
          retentionMs: null,
          retentionBytes: null,
          tombstoneRetentionMs: 86_400_000,
        },
      ]);
    }
    await timed(`publish, ${contender.name}`, () => contender.publish(topic));
    await timed(`read, ${contender.name}`, () => contender.read(topic));
  }
}
const thousands = (rate: number): string => `${Math.round(rate / 1000)}k`;
for (const [name, { rate, perCpu }] of best) {
  const figures = `${thousands(rate).padStart(6)}/s ${thousands(perCpu).padStart(6)} per CPU second`;
  console.log(`${name.padEnd(32)} ${figures}`);
}
rmSync(folder, { recursive: true, force: true });

async function timed(name: string, work: () => Promise<void>): Promise<void> {
  const cpu = process.cpuUsage();
  const began = performance.now();
  await work();
  const rate = RECORDS / ((performance.now() - began) / 1000);
  const { user, system } = process.cpuUsage(cpu);
  const perCpu = RECORDS / ((user + system) / 1e6);
  const known = best.get(name);
  if (known === undefined || known.rate < rate) best.set(name, { rate, perCpu });
}

function port(name: string, broker: Broker): Contender {
  return {
    name,
    async publish(topic) {
      const writers = Array.from({ length: PARTITIONS }, () => new RecordWriter());
      for (let done = 0; done < RECORDS; done += TOGETHER) {
        writers.forEach((writer, partition) => {
          writer.reset();
          for (let index = partition; index < TOGETHER; index += PARTITIONS) {
            value.writeUInt32LE(done + index, 200);
            const key = Buffer.from(`key ${done + index}`);
            writer.add({ key, value, timestamp: Date.now(), op: 'c', version: 1n });
          }
        });
        const outgoing = writers.map((records, partition) => ({ topic, partition, records }));
        await broker.publish(outgoing, { producer: 'bench' });
      }
    },
    async read(topic) {
      const stop = new AbortController();
      const subscription = { group: `${topic}.g`, topics: [topic] };
      let seen = 0;
      for await (const batches of broker.subscribe(subscription, stop.signal)) {
        for (const { bytes } of batches.flatMap(({ segments }) => segments)) {
          const cursor = new RecordCursor(bytes);
          while (cursor.next()) seen++;
        }
        await broker.commit(batches.map(({ consumed }) => consumed));
        if (seen >= RECORDS) stop.abort();
      }
    },
  };
}

function kafkaJs(brokers: readonly string[]): Contender {
  const client = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING });
  return {
    name: 'kafkajs alone',
    async publish(topic) {
      const producer = client.producer({
        transactionalId: `${topic}-t`,
        maxInFlightRequests: 1,
        createPartitioner: Partitioners.DefaultPartitioner,
        retry: { initialRetryTime: 20 },
      });
      await producer.connect();
      for (let done = 0; done < RECORDS; done += TOGETHER) {
        const transaction = await producer.transaction();
        const sends = Array.from({ length: PARTITIONS }, (_, partition) => {
          const messages: KafkaJs.Message[] = [];
          for (let index = partition; index < TOGETHER; index += PARTITIONS) {
            value.writeUInt32LE(done + index, 200);
            messages.push({ key: `key ${done + index}`, value: Buffer.from(value), partition });
          }
          return transaction.send({ topic, messages });
        });
        await Promise.all(sends);
        await transaction.commit();
      }
      await producer.disconnect();
    },
    async read(topic) {
      const consumer = client.consumer({ groupId: `${topic}-g`, maxWaitTimeInMs: 100 });
      await consumer.connect();
      await consumer.subscribe({ topic, fromBeginning: true });
      const { promise, resolve } = Promise.withResolvers<void>();
      let seen = 0;
      await consumer.run({
        eachBatch: async ({ batch }) => {
          seen += batch.messages.length;
          if (seen >= RECORDS) resolve();
        },
      });
      await promise;
      await consumer.disconnect();
    },
  };
}
