import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kafkaDistribution, type KafkaVersion, kafkaVersions } from './kafka-distribution.ts';
import { freePorts, supervised, type Supervised } from './supervised.ts';

const HOST = '127.0.0.1';
const START_TIMEOUT_MS = 120_000;

/** A real Apache Kafka in KRaft mode on ports of its own, with its data in a temporary folder. */
export interface TestKafka extends AsyncDisposable {
  readonly version: KafkaVersion;
  readonly brokers: readonly string[];
  /** Nodes of the cluster, to be killed and started again. */
  readonly nodes: readonly TestKafkaNode[];
  /** Where the brokers' data is. */
  readonly folder: string;
}

export interface TestKafkaNode {
  readonly address: string;
  /** Of the listener between nodes: plain text, and everything is allowed. */
  readonly innerAddress: string;
  kill(): Promise<void>;
  start(): Promise<void>;
}

export interface TestKafkaOptions {
  readonly version?: KafkaVersion;
  readonly nodes?: number;
  /** More lines of `server.properties`, for every node. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Protocol of the listener that clients use; the nodes talk to each other in plain text. */
  readonly protocol?: 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL';
}

export async function startKafka(options: TestKafkaOptions = {}): Promise<TestKafka> {
  const { version = kafkaVersions[0], nodes: count = 1 } = options;
  const home = await kafkaDistribution(version);
  const folder = await mkdtemp(join(tmpdir(), 'millrace-kafka-'));
  const ports = await freePorts(3 * count);
  const cluster = randomId();
  const nodes = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      prepareNode({ home, folder, ports, index, cluster, options }),
    ),
  );
  const dispose = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.kill()));
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  try {
    await Promise.all(nodes.map((node) => node.start()));
  } catch (error) {
    await dispose();
    throw error;
  }
  const brokers = nodes.map(({ address }) => address);
  return { version, brokers, nodes, folder, [Symbol.asyncDispose]: dispose };
}

const randomId = (): string => randomBytes(16).toString('base64url');

interface NodePlan {
  readonly home: string;
  readonly folder: string;
  /** Three for each node: for clients, between brokers, for the quorum. */
  readonly ports: readonly number[];
  readonly index: number;
  readonly cluster: string;
  readonly options: TestKafkaOptions;
}

async function prepareNode(plan: NodePlan): Promise<TestKafkaNode> {
  const { home, index, cluster } = plan;
  const folder = join(plan.folder, `node-${index + 1}`);
  const data = join(folder, 'data');
  await mkdir(data, { recursive: true });
  await copyFile(join(home, 'bootstrap.checkpoint'), join(data, 'bootstrap.checkpoint'));
  const meta = `version=1\ncluster.id=${cluster}\nnode.id=${index + 1}\ndirectory.id=${randomId()}\n`;
  await writeFile(join(data, 'meta.properties'), meta);
  const properties = join(folder, 'server.properties');
  const lines = Object.entries(settingsOf(plan, data)).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(properties, lines.join(''));
  let child: Supervised | null = null;
  let starts = 0;
  return {
    address: `${HOST}:${plan.ports[3 * index]}`,
    innerAddress: `${HOST}:${plan.ports[3 * index + 1]}`,
    async start() {
      const log = join(folder, `log.${++starts}`);
      child = await supervised(
        'java',
        [...JVM, '-cp', `${home}/libs/*`, 'kafka.Kafka', properties],
        log,
      );
      // Logged once the broker is unfenced and listens.
      await child.untilLogged('Kafka Server started', START_TIMEOUT_MS);
    },
    kill: async () => child?.kill(),
  };
}

const JVM = [
  '-Xms192m',
  '-Xmx384m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-XX:+ExitOnOutOfMemoryError',
  '-Djava.awt.headless=true',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  '-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info',
];

function settingsOf(plan: NodePlan, data: string): Record<string, string | number> {
  const { ports, index, options } = plan;
  const count = ports.length / 3;
  const [client, between, quorum] = ports.slice(3 * index, 3 * index + 3);
  const voters = Array.from(
    { length: count },
    (_, node) => `${node + 1}@${HOST}:${ports[3 * node + 2]}`,
  );
  const replicas = Math.min(3, count);
  const isr = Math.max(1, replicas - 1);
  const listeners = `CLIENT://${HOST}:${client},BETWEEN://${HOST}:${between}`;
  return {
    'process.roles': 'broker,controller',
    'node.id': index + 1,
    'broker.rack': `rack-${index + 1}`,
    'replica.selector.class': 'org.apache.kafka.common.replica.RackAwareReplicaSelector',
    'controller.quorum.voters': voters.join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'BETWEEN',
    'listener.security.protocol.map': `CLIENT:${options.protocol ?? 'PLAINTEXT'},BETWEEN:PLAINTEXT,CONTROLLER:PLAINTEXT`,
    listeners: `${listeners},CONTROLLER://${HOST}:${quorum}`,
    'advertised.listeners': listeners,
    'log.dirs': data,
    'auto.create.topics.enable': 'false',
    'default.replication.factor': replicas,
    'min.insync.replicas': isr,
    'offsets.topic.num.partitions': 4,
    'offsets.topic.replication.factor': replicas,
    'transaction.state.log.num.partitions': 4,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': isr,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': 1000,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'background.threads': 2,
    'log.cleaner.threads': 1,
    'log.cleaner.dedupe.buffer.size': 4 * 1024 * 1024,
    'log.cleaner.backoff.ms': 1000,
    'controller.quorum.election.timeout.ms': 400,
    'controller.quorum.election.backoff.max.ms': 200,
    'broker.heartbeat.interval.ms': 500,
    'broker.session.timeout.ms': 3000,
    'message.max.bytes': 16 * 1024 * 1024,
    'replica.fetch.max.bytes': 16 * 1024 * 1024,
    ...options.settings,
  };
}
