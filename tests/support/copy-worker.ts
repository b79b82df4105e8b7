import { setTimeout as delay } from 'node:timers/promises';
import { topicName } from '../../broker/broker.ts';
import { openKafka } from '../../broker/kafka/kafka.ts';
import { OutgoingBuffer } from '../../broker/outgoing-buffer.ts';
import { partitionOf } from '../../broker/partition.ts';
import { RecordCursor } from '../../broker/records.ts';
import { directive } from '../../errors.ts';
import { silent } from '../../log.ts';

/**
 * Run as a process of its own, to be killed and stopped: copies a topic to another of as many partitions,
 * each record to the partition of its value, so that every transaction spans partitions and leaders. It goes
 * on after failures as a stage of a pipeline does. Prints `copied <records>`.
 */
const [addresses = '', group = '', input = '', output = '', partitions = '1'] =
  process.argv.slice(2);
const count = Number(partitions);

for (;;) {
  try {
    await copy();
  } catch (error) {
    if (directive(error) !== 'retry') throw error;
    process.stdout.write(`again after ${error instanceof Error ? error.message : ''}\n`);
    await delay(100);
  }
}

async function copy(): Promise<void> {
  const options = { brokers: addresses.split(','), sessionTimeoutMs: 3000 };
  await using broker = await openKafka(options, silent);
  const buffer = new OutgoingBuffer();
  const topic = topicName(output);
  const subscription = { group, topics: [topicName(input)], publishes: true, bytesMax: 200_000 };
  for await (const batches of broker.subscribe(subscription, new AbortController().signal)) {
    let copied = 0;
    for (const { segments } of batches) {
      for (const { bytes } of segments) {
        const cursor = new RecordCursor(bytes);
        while (cursor.next()) {
          const key = cursor.key() ?? Buffer.alloc(0);
          buffer.writer(topic, partitionOf(key, key.length, count)).copy(cursor);
          copied++;
        }
      }
    }
    const consumed = batches.map((batch) => batch.consumed);
    await broker.publish(buffer.outgoing(), { consumed });
    buffer.reset();
    process.stdout.write(`copied ${copied}\n`);
  }
}
