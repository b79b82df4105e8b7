import { requireSuccess } from './failure.ts';
import type { Message } from './message.ts';

export interface NodeAddress {
  readonly id: number;
  readonly host: string;
  readonly port: number;
}

export interface TopicMetadata {
  readonly topic: string;
  /** A code of Kafka's; 0 if all is well. */
  readonly error: number;
  readonly internal: boolean;
  /** Node that leads each partition; -1 while there is none. */
  readonly leaders: readonly number[];
}

export interface Metadata {
  readonly nodes: readonly NodeAddress[];
  readonly controller: number;
  readonly topics: readonly TopicMetadata[];
}

/** Of some topics, of all with null. Never creates one. */
export const metadata = (topics: readonly string[] | null): Message<Metadata> => ({
  api: 3,
  name: 'Metadata',
  version: 4,
  write(out) {
    if (topics === null) out.int32(-1);
    else out.array(topics, (topic) => out.string(topic));
    out.boolean(false);
  },
  read(answer) {
    answer.int32();
    const nodes = answer.array(() => {
      const [id, host, port] = [answer.int32(), answer.string() ?? '', answer.int32()];
      answer.string();
      return { id, host, port };
    });
    answer.string();
    const controller = answer.int32();
    const topics = answer.array((): TopicMetadata => {
      const [error, topic, internal] = [answer.int16(), answer.string() ?? '', answer.boolean()];
      const leaders: number[] = [];
      answer.array(() => {
        answer.int16();
        const [partition, leader] = [answer.int32(), answer.int32()];
        leaders[partition] = leader;
        answer.array(() => answer.int32());
        answer.array(() => answer.int32());
      });
      return { error, topic, internal, leaders };
    });
    return { nodes, controller, topics };
  },
});

export type CoordinatorKind = 'group' | 'transaction';

/** Which node coordinates a group or a transactional id. */
export const findCoordinator = (key: string, kind: CoordinatorKind): Message<number> => ({
  api: 10,
  name: 'FindCoordinator',
  version: 1,
  write: (out) => out.string(key).int8(kind === 'group' ? 0 : 1),
  read(answer) {
    answer.int32();
    const error = answer.int16();
    answer.string();
    requireSuccess(error, `coordinator of ${key}`);
    return answer.int32();
  },
});

export interface NewTopic {
  readonly topic: string;
  readonly partitions: number;
  /** -1 for the cluster's default. */
  readonly replication: number;
  readonly settings: Readonly<Record<string, string>>;
}

/** Per topic an error code and its explanation. */
export type TopicErrors = readonly {
  readonly topic: string;
  readonly error: number;
  readonly explanation: string | null;
}[];

export const createTopics = (topics: readonly NewTopic[]): Message<TopicErrors> => ({
  api: 19,
  name: 'CreateTopics',
  version: 4,
  write(out) {
    out.array(topics, ({ topic, partitions, replication, settings }) => {
      out.string(topic).int32(partitions).int16(replication).int32(0);
      out.array(Object.entries(settings), ([name, value]) => void out.string(name).string(value));
    });
    out.int32(30_000).boolean(false);
  },
  read(answer) {
    answer.int32();
    return answer.array(() => ({
      topic: answer.string() ?? '',
      error: answer.int16(),
      explanation: answer.string(),
    }));
  },
});

const TOPIC = 2;

/** The settings of topics, defaults included. */
export const describeConfigs = (
  topics: readonly string[],
  names: readonly string[],
): Message<ReadonlyMap<string, ReadonlyMap<string, string | null>>> => ({
  api: 32,
  name: 'DescribeConfigs',
  version: 1,
  write(out) {
    out.array(topics, (topic) => {
      out.int8(TOPIC).string(topic);
      out.array(names, (name) => out.string(name));
    });
    out.boolean(false);
  },
  read(answer) {
    answer.int32();
    const found = new Map<string, ReadonlyMap<string, string | null>>();
    answer.array(() => {
      const [error, explanation] = [answer.int16(), answer.string()];
      answer.int8();
      const topic = answer.string() ?? '';
      const settings = new Map<string, string | null>();
      answer.array(() => {
        settings.set(answer.string() ?? '', answer.string());
        answer.boolean();
        answer.int8();
        answer.boolean();
        answer.array(() => [answer.string(), answer.string(), answer.int8()]);
      });
      requireSuccess(error, explanation ?? `settings of topic ${topic}`);
      found.set(topic, settings);
    });
    return found;
  },
});

/** Changes some settings of topics and leaves the others. */
export const alterConfigs = (
  topics: readonly {
    readonly topic: string;
    readonly settings: Readonly<Record<string, string>>;
  }[],
): Message<TopicErrors> => ({
  api: 44,
  name: 'IncrementalAlterConfigs',
  version: 0,
  write(out) {
    out.array(topics, ({ topic, settings }) => {
      out.int8(TOPIC).string(topic);
      out.array(Object.entries(settings), ([name, value]) => {
        out.string(name).int8(0).string(value);
      });
    });
    out.boolean(false);
  },
  read(answer) {
    answer.int32();
    return answer.array(() => {
      const [error, explanation] = [answer.int16(), answer.string()];
      answer.int8();
      return { topic: answer.string() ?? '', error, explanation };
    });
  },
});

/** Stored bytes of the partitions that a node holds, by `topic-partition`. */
export const logSizes = (
  topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[],
): Message<ReadonlyMap<string, number>> => ({
  api: 35,
  name: 'DescribeLogDirs',
  version: 1,
  write(out) {
    out.array(topics, ({ topic, partitions }) => {
      out.string(topic).array(partitions, (partition) => out.int32(partition));
    });
  },
  read(answer) {
    answer.int32();
    const sizes = new Map<string, number>();
    answer.array(() => {
      answer.int16();
      answer.string();
      answer.array(() => {
        const topic = answer.string();
        answer.array(() => {
          const [partition, bytes] = [answer.int32(), answer.long()];
          answer.int64();
          answer.boolean();
          sizes.set(`${topic}-${partition}`, bytes);
        });
      });
    });
    return sizes;
  },
});
