import { offset, topicName, type BrokerState, type TopicPartition } from '../broker.ts';
import type { Cluster } from './cluster.ts';
import { logSizes, type TopicMetadata } from './cluster-messages.ts';
import { describeGroups, listGroups } from './group-messages.ts';
import { byTopic, offsetFetch } from './offset-messages.ts';
import { endsOf, nameOf, startsOf } from './offsets.ts';
import { settingsFound, type SettingName } from './topics.ts';

/** Ours beside those of the pipeline. */
const OWN_PREFIX = '__millrace.';

/** What is there and how far groups are: see `Broker.describe`. */
export async function describe(cluster: Cluster): Promise<BrokerState> {
  const { prefix } = cluster.options;
  const isOurs = (name: string): boolean =>
    prefix === undefined || name.startsWith(prefix) || name.startsWith(OWN_PREFIX);
  const [topics, groups] = await Promise.all([
    describeTopics(cluster, isOurs),
    describeAllGroups(cluster, isOurs),
  ]);
  return { topics, groups };
}

async function describeTopics(
  cluster: Cluster,
  isOurs: (name: string) => boolean,
): Promise<BrokerState['topics']> {
  const all = await cluster.attempt(() => cluster.refresh(null));
  const topics = all.topics.filter(
    ({ topic, error, internal }) => error === 0 && !internal && isOurs(topic),
  );
  const partitions = topics.flatMap(partitionsOf);
  const names = topics.map(({ topic }) => topic);
  const [starts, ends, sizes, settings] = await Promise.all([
    startsOf(cluster, partitions),
    endsOf(cluster, partitions),
    sizesOf(cluster, partitions),
    settingsFound(cluster, names),
  ]);
  return topics.map((topic) => ({
    ...settingsOf(topic, (name) => settings.get(topic.topic)?.get(name) ?? null),
    offsets: partitionsOf(topic).map((partition) => {
      const name = nameOf(partition);
      return {
        start: offset(starts.get(name) ?? 0),
        end: offset(ends.get(name) ?? 0),
        bytes: sizes.get(name) ?? 0,
      };
    }),
  }));
}

function partitionsOf({ topic, leaders }: TopicMetadata): TopicPartition[] {
  return leaders.map((_, partition) => ({ topic: topicName(topic), partition }));
}

function settingsOf(
  { topic, leaders }: TopicMetadata,
  setting: (name: SettingName) => string | null,
) {
  const bound = (name: SettingName): number | null => {
    const value = Number(setting(name) ?? -1);
    return value < 0 ? null : value;
  };
  return {
    topic: topicName(topic),
    partitions: leaders.length,
    cleanup: setting('cleanup.policy') === 'compact' ? ('compact' as const) : ('delete' as const),
    retentionMs: bound('retention.ms'),
    retentionBytes: bound('retention.bytes'),
    tombstoneRetentionMs: bound('delete.retention.ms') ?? 0,
  };
}

/** Stored bytes, of the replica that has most; nothing where we are not allowed to know. */
async function sizesOf(
  cluster: Cluster,
  partitions: readonly TopicPartition[],
): Promise<ReadonlyMap<string, number>> {
  const largest = new Map<string, number>();
  if (partitions.length === 0) return largest;
  const message = logSizes(
    byTopic(partitions).map(([topic, ofTopic]) => ({
      topic,
      partitions: ofTopic.map(({ partition }) => partition),
    })),
  );
  const nodes = await cluster.attempt(() => cluster.nodes());
  const answers = await Promise.allSettled(nodes.map((node) => node.send(message)));
  for (const answer of answers) {
    if (answer.status === 'rejected') continue;
    for (const [name, bytes] of answer.value) {
      largest.set(name, Math.max(bytes, largest.get(name) ?? 0));
    }
  }
  return largest;
}

async function describeAllGroups(
  cluster: Cluster,
  isOurs: (name: string) => boolean,
): Promise<BrokerState['groups']> {
  return cluster.attempt(async () => {
    const nodes = await cluster.nodes();
    const found = await Promise.all(
      nodes.map(async (node) => {
        const names = (await node.send(listGroups())).filter(isOurs);
        return names.length === 0 ? [] : node.send(describeGroups(names));
      }),
    );
    return Promise.all(
      found.flat().map(async ({ group, members }) => {
        const coordinator = await cluster.coordinator('group', group);
        const offsets = await coordinator.send(offsetFetch(group, null));
        const committed = offsets.map((one) => ({ ...one, next: offset(one.next) }));
        return { group, members, committed };
      }),
    );
  });
}
