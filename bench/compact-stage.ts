import { componentsOf } from '../components.ts';
import { topicName } from '../broker/broker.ts';
import { silent } from '../log.ts';
import type { Processor } from '../processors/processor.ts';
import { namedTables, topologyOf } from '../runtime/topology.ts';
import { StageTopics } from '../runtime/stage-topics.ts';
import { benchConfig, type Place } from './bench-config.ts';

const never = new AbortController().signal;
const GROUP = 'bench.compact';

/** The compact stage over topics that a hop fills itself, without a source. */
export async function openCompact(place: Place) {
  const config = benchConfig(place);
  const components = componentsOf(config, { environment: {} }, silent);
  await using stack = new AsyncDisposableStack();
  const { broker, registry } = stack.use(await components.openBroker());
  await broker.createTopics(topologyOf(config, namedTables(config) ?? []).topics);
  const processor: Processor = stack.use(await components.openProcessor(registry));
  const raw = topicName('bench', 'public', 'events');
  const topics = new StageTopics(broker, GROUP, never);
  const opened = stack.move();
  return {
    raw,
    latest: topicName(raw, 'latest'),
    broker,
    /** Rebuilds the state of the partition. */
    restore: () => processor.open({ topic: raw, partition: 0 }, topics),
    /** Works off so many records of the raw topic. */
    async work(records: number): Promise<void> {
      const subscription = { group: GROUP, topics: [raw], bytesMax: 3 * 1024 * 1024 };
      let done = 0;
      for await (const batches of broker.subscribe(subscription, never)) {
        const { outgoing, consumed } = await processor.process(batches);
        await broker.publish(outgoing, { consumed });
        for (const { count } of batches) done += count;
        if (done >= records) return;
      }
    },
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}
