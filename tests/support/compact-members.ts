import type { Broker, TopicName } from '../../broker/broker.ts';
import { MillraceError } from '../../errors.ts';
import { silent } from '../../log.ts';
import { compactProcessor, type CompactOptions } from '../../processors/compact/compact.ts';
import { systemClock } from '../../runtime/clock.ts';
import type { Reach } from '../../runtime/failpoints.ts';
import { processorLoop } from '../../runtime/loops.ts';
import { Metrics } from '../../runtime/metrics.ts';
import { StageMeter } from '../../runtime/stage-meter.ts';
import type { SchemaRegistry } from '../../schemas/registry.ts';

const GROUP = 'compact';
const crashed = new Error('crash');

export interface MembersPlan {
  /** Compact stages that share the partitions, each with a state of its own. */
  readonly members: number;
  /** Bytes of a delivery, per member in turn: how evenly partitions come along. */
  readonly bytesMax: readonly number[];
  /** After so many steps of any member it crashes, before or after its publish, over and over. */
  readonly crashes: readonly number[];
  readonly options: CompactOptions;
}

/** Runs compact stages over a raw topic until nothing of it is left to do. */
export async function compactedByMembers(
  { broker, registry }: { readonly broker: Broker; readonly registry: SchemaRegistry },
  raw: TopicName,
  { members, bytesMax, crashes, options }: MembersPlan,
): Promise<void> {
  const stop = new AbortController();
  const plan = { name: 'compact', kind: 'processor' } as const;
  const left = [...crashes];
  let steps = 0;
  const reach: Reach = () => {
    if (left[0] === undefined || ++steps <= left[0]) return;
    left.shift();
    steps = 0;
    throw crashed;
  };
  const live = async (index: number): Promise<void> => {
    while (!stop.signal.aborted) {
      const meter = new StageMeter(plan, {
        instruments: new Metrics('shop').stage(plan),
        passing: { finished: () => undefined },
        clock: systemClock,
      });
      const subscription = {
        group: GROUP,
        topics: [raw],
        bytesMax: bytesMax[index % bytesMax.length] ?? 1,
      };
      try {
        await using processor = compactProcessor(options, { registry, log: silent });
        await processorLoop(processor, { broker, meter, reach, subscription }, stop.signal);
      } catch (error) {
        const isFenced = error instanceof MillraceError && error.code === 'BROKER_FENCED';
        if (error !== crashed && !isFenced) throw error;
      }
    }
  };
  const lives = Promise.all(Array.from({ length: members }, (_, index) => live(index)));
  const until = Date.now() + 60_000;
  while (!(await isDone(broker, raw))) {
    if (Date.now() > until)
      throw new Error(`not compacted: ${JSON.stringify(await broker.describe())}`);
    await Promise.race([lives, new Promise((resolve) => setTimeout(resolve, 2))]);
  }
  stop.abort();
  await lives;
}

async function isDone(broker: Broker, raw: TopicName): Promise<boolean> {
  const { topics, groups } = await broker.describe();
  const committed = groups.find(({ group }) => group === GROUP)?.committed ?? [];
  const ends = topics.find(({ topic }) => topic === raw)?.offsets ?? [];
  return ends.every(
    ({ end }, partition) =>
      end === 0 ||
      committed.some((one) => one.topic === raw && one.partition === partition && one.next === end),
  );
}
