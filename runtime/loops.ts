import { offset, type Broker, type Subscription, type TopicPartition } from '../broker/broker.ts';
import type { Connector } from '../connectors/connector.ts';
import type { Processor, ReadOutput } from '../processors/processor.ts';
import type { Sink } from '../sinks/sink.ts';
import type { Reach } from './failpoints.ts';
import type { Positions } from './positions.ts';
import type { StageMeter } from './stage-meter.ts';

interface Stage {
  readonly broker: Broker;
  readonly meter: StageMeter;
  readonly reach: Reach;
}

/** Outside → raw topics. Ends when the signal aborts, after the batch in hand (I8). */
export async function sourceLoop(
  connector: Connector,
  stage: Stage & { readonly positions: Positions; readonly producer: string },
  signal: AbortSignal,
): Promise<void> {
  const { broker, meter, reach, positions, producer } = stage;
  const after = await positions.read(signal);
  for await (const batch of connector.changes(after, signal)) {
    meter.received(batch);
    reach('source.read');
    // I5: records and position become durable together.
    const outgoing = [...batch.outgoing, positions.record(batch.position)];
    await broker.publish(outgoing, { producer });
    positions.published(batch.position);
    reach('source.published');
    // I1: only now may the source forget them.
    await connector.ack(batch.position);
    reach('source.acked');
    meter.finished(batch);
  }
}

/** Topics → topics. A partition is opened from its output topics before its first batch. */
export async function processorLoop(
  processor: Processor,
  stage: Stage & { readonly subscription: Subscription },
  signal: AbortSignal,
): Promise<void> {
  const { broker, meter, reach } = stage;
  const read: ReadOutput = (topic, partition) =>
    broker.read({ topic, partition, next: offset(0) }, signal);
  const subscription: Subscription = {
    ...stage.subscription,
    assigned: async (partitions) => {
      for (const partition of partitions) await processor.open(partition, read);
      meter.ready();
      return [];
    },
    revoked: async (partitions) => {
      for (const partition of partitions) await processor.close(partition);
    },
  };
  for await (const batches of broker.subscribe(subscription, signal)) {
    meter.delivered(batches);
    let input = batches;
    for (let more = true; more; input = []) {
      const processed = await processor.process(input);
      more = processed.more;
      reach('processor.processed');
      // I5: output and consumed offsets, or neither.
      await broker.publish(processed.outgoing, { consumed: processed.consumed });
      reach('processor.published');
    }
    meter.finishedDelivery();
  }
}

/**
 * Topics → outside. The sink's ledger says where each partition goes on; the broker's offsets only
 * follow it, for lag. `halt` ends a write that is under way, `signal` only what comes after it.
 */
export async function sinkLoop(
  sink: Sink,
  stage: Stage & { readonly subscription: Subscription; readonly halt: AbortSignal },
  signal: AbortSignal,
): Promise<void> {
  const { broker, meter, reach, halt } = stage;
  const subscription: Subscription = {
    ...stage.subscription,
    assigned: async (partitions) => {
      const known = await sink.open(partitions);
      meter.ready();
      // What the ledger does not know was never written there, whatever the broker's offsets say of a
      // sink that was lost or replaced: it starts at the beginning, or fails if that is gone (I4).
      return partitions.map(
        (partition) => known.find(isOf(partition)) ?? { ...partition, next: offset(0) },
      );
    },
  };
  for await (const batches of broker.subscribe(subscription, signal)) {
    meter.delivered(batches);
    reach('sink.received');
    const written = await sink.write(batches, halt);
    reach('sink.written');
    await broker.commit(batches.map((batch) => batch.consumed));
    reach('sink.committed');
    meter.finished(written);
  }
}

const isOf =
  ({ topic, partition }: TopicPartition) =>
  (other: TopicPartition): boolean =>
    other.topic === topic && other.partition === partition;
