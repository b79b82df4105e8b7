import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { silent } from '../../log.ts';
import { brokerConformance } from '../../tests/conformance/broker.ts';
import { CRASH_NAME } from '../../tests/conformance/broker-crash.ts';
import type { BrokerUnderTest } from '../../tests/conformance/broker-under-test.ts';
import { startKafka, type TestKafka } from '../../tests/support/kafka.ts';
import { describeWhere } from '../../tests/support/describe-where.ts';
import {
  type KafkaVersion,
  kafkaVersions,
  whyNoKafka,
} from '../../tests/support/kafka-distribution.ts';
import { openKafka } from './kafka.ts';

const writer = join(import.meta.dirname, '../../tests/conformance/kafka-writer.ts');
const reason = whyNoKafka();
const RECORD_BYTES_MAX = 20 * 1024 * 1024;

const conformance = (version: KafkaVersion) => (): void => {
  let kafka: TestKafka;
  beforeAll(async () => {
    kafka = await startKafka({ version });
  });
  afterAll(() => kafka[Symbol.asyncDispose]());

  async function open(): Promise<BrokerUnderTest> {
    const { brokers } = kafka;
    const connect = () =>
      openKafka({ brokers, sessionTimeoutMs: 2000, recordBytesMax: RECORD_BYTES_MAX }, silent);
    let broker = await connect();
    return {
      get broker() {
        return broker;
      },
      async reopen() {
        await broker[Symbol.asyncDispose]();
        broker = await connect();
      },
      maintain: () => Promise.reject(new Error('the cluster forgets in its own time')),
      another: connect,
      startWriter: async () =>
        spawn(process.execPath, [writer, brokers[0] ?? '', CRASH_NAME], {
          stdio: ['ignore', 'pipe', 'inherit'],
        }),
      [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose](),
    };
  }

  brokerConformance(`Kafka ${version}`, {
    open,
    cannot: { maintain: 'a cluster forgets and compacts in its own time' },
  });
};

for (const version of kafkaVersions) {
  describeWhere(reason, `Apache Kafka ${version}`, conformance(version));
}
