import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { TopicSettings } from '../broker.ts';
import type { Cluster } from './cluster.ts';
import {
  alterConfigs,
  createTopics,
  describeConfigs,
  metadata,
  type TopicErrors,
} from './cluster-messages.ts';
import { brokerError, requireSuccess } from './failure.ts';

/** Settings of a topic that are ours to say. */
export const SETTINGS = [
  'cleanup.policy',
  'retention.ms',
  'retention.bytes',
  'delete.retention.ms',
] as const;
export type SettingName = (typeof SETTINGS)[number];

/** Below what managed clusters allow, and well above the megabyte that is Kafka's default. */
const RECORD_BYTES_MAX = 8 * 1024 * 1024;
const TOPIC_ALREADY_EXISTS = 36;
const VISIBLE_TIMEOUT_MS = 30_000;

const settingsOf = (topic: TopicSettings): Record<SettingName, string> => ({
  'cleanup.policy': topic.cleanup,
  'retention.ms': String(topic.retentionMs ?? -1),
  'retention.bytes': String(topic.retentionBytes ?? -1),
  'delete.retention.ms': String(topic.tombstoneRetentionMs),
});

/**
 * Creates what is missing. What exists must have as many partitions and the same way of forgetting; how long
 * it keeps what it holds is changed to what is wanted. Nothing is created or changed if one does not fit.
 *
 * @throws TOPIC_MISMATCH, BROKER_REFUSED, BROKER_DENIED
 */
export async function ensureTopics(
  cluster: Cluster,
  wanted: readonly TopicSettings[],
  log: Log,
): Promise<void> {
  for (const { topic, partitions } of wanted) {
    if (!Number.isInteger(partitions) || partitions < 1) {
      throw new MillraceError('TOPIC_MISMATCH', 'A topic needs at least one partition.', {
        place: topic,
      });
    }
  }
  const existing = await existingOf(cluster, wanted);
  const differing = await differences(cluster, existing);
  const missing = wanted.filter((topic) => !existing.includes(topic));
  if (missing.length > 0) await create(cluster, missing);
  if (differing.length > 0) await adjust(cluster, differing, log);
}

/** Those that are there, all with the right number of partitions. */
async function existingOf(
  cluster: Cluster,
  wanted: readonly TopicSettings[],
): Promise<readonly TopicSettings[]> {
  const { topics } = await cluster.attempt(() => cluster.refresh(wanted.map(({ topic }) => topic)));
  const counts = new Map(
    topics.filter(({ error }) => error === 0).map(({ topic, leaders }) => [topic, leaders.length]),
  );
  return wanted.filter(({ topic, partitions }) => {
    const found = counts.get(topic);
    if (found !== undefined && found !== partitions) {
      throw new MillraceError('TOPIC_MISMATCH', `The topic has ${found} partitions.`, {
        place: topic,
        expected: `${partitions} partitions`,
      });
    }
    return found !== undefined;
  });
}

interface Difference {
  readonly topic: string;
  readonly settings: Record<string, string>;
}

async function differences(
  cluster: Cluster,
  existing: readonly TopicSettings[],
): Promise<readonly Difference[]> {
  const found = await settingsFound(
    cluster,
    existing.map(({ topic }) => topic),
  );
  return existing.flatMap((topic) => {
    const now = found.get(topic.topic);
    const wanted = Object.entries(settingsOf(topic));
    const policy = now?.get('cleanup.policy');
    // A compacted topic that forgets by age loses rows; one that should forget keeps only the newest.
    if (policy !== undefined && policy !== topic.cleanup) {
      throw new MillraceError('TOPIC_MISMATCH', `The topic has cleanup.policy=${policy}.`, {
        place: topic.topic,
        expected: `cleanup.policy=${topic.cleanup}`,
        remedy: 'Alter the topic if nobody else needs it so, or use another pipeline name.',
      });
    }
    const settings = Object.fromEntries(wanted.filter(([name, value]) => now?.get(name) !== value));
    return Object.keys(settings).length === 0 ? [] : [{ topic: topic.topic, settings }];
  });
}

/** Settings by topic. */
export async function settingsFound(
  cluster: Cluster,
  topics: readonly string[],
): Promise<ReadonlyMap<string, ReadonlyMap<string, string | null>>> {
  if (topics.length === 0) return new Map();
  const message = describeConfigs(topics, SETTINGS);
  return cluster.attempt(async () => (await cluster.controller()).send(message));
}

async function create(cluster: Cluster, missing: readonly TopicSettings[]): Promise<void> {
  const { replication = -1, recordBytesMax = RECORD_BYTES_MAX } = cluster.options;
  const message = createTopics(
    missing.map((topic) => ({
      topic: topic.topic,
      partitions: topic.partitions,
      replication,
      settings: {
        ...settingsOf(topic),
        'max.message.bytes': String(recordBytesMax),
        // The records' own time, whatever the cluster's default is.
        'message.timestamp.type': 'CreateTime',
      },
    })),
  );
  await cluster.attempt(async () => requireDone(await (await cluster.controller()).send(message)));
  await untilVisible(cluster, missing);
}

/** A topic that has come meanwhile is as good as ours. */
function requireDone(answers: TopicErrors): void {
  for (const { topic, error, explanation } of answers) {
    if (error === TOPIC_ALREADY_EXISTS) continue;
    requireSuccess(
      error,
      explanation === null ? `topic ${topic}` : `topic ${topic}: ${explanation}`,
    );
  }
}

/** The nodes learn of a new topic one after another; any of them may be asked for it next. */
async function untilVisible(cluster: Cluster, topics: readonly TopicSettings[]): Promise<void> {
  const deadline = Date.now() + VISIBLE_TIMEOUT_MS;
  const message = metadata(topics.map(({ topic }) => topic));
  for (;;) {
    const nodes = await cluster.attempt(() => cluster.nodes());
    const answers = await Promise.allSettled(nodes.map((node) => node.send(message)));
    // A node that is away learns of it before it serves again.
    const seen = answers.filter((answer) => answer.status === 'fulfilled');
    const missing = seen
      .flatMap(({ value }) => value.topics)
      .find(({ error, leaders }) => error !== 0 || leaders.some((leader) => leader < 0));
    if (seen.length > 0 && missing === undefined) break;
    if (Date.now() > deadline) {
      throw new MillraceError('BROKER_UNREACHABLE', 'A topic that was created has no leader.', {
        place: missing?.topic ?? '',
      });
    }
    await delay(20);
  }
  await existingOf(cluster, topics);
}

async function adjust(cluster: Cluster, differing: readonly Difference[], log: Log): Promise<void> {
  const message = alterConfigs(differing);
  const answers = await cluster.attempt(async () => (await cluster.controller()).send(message));
  for (const { topic, error, explanation } of answers) {
    try {
      requireSuccess(error, explanation ?? `topic ${topic}`);
    } catch (failure) {
      // How long a topic keeps what it holds may be its owner's decision.
      log.warn(
        { topic, err: brokerError(failure) },
        'the settings of a topic could not be changed',
      );
    }
  }
}
