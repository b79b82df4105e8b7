import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CopyWorkers } from '../support/copy-workers.ts';
import { describeWhere } from '../support/describe-where.ts';
import { whyNoKafka } from '../support/kafka-distribution.ts';
import { startKafka, type TestKafka } from '../support/kafka.ts';

const events = Number(process.env['KILLS'] ?? 5);
const reason = whyNoKafka();
/** Past the session of a worker, so that others have what it holds when it goes on. */
const STALL_MS = 6_000;

const any = (count: number): number => Math.floor(Math.random() * count);

describeWhere(reason, 'workers of one group (one node)', () => {
  let kafka: TestKafka;
  beforeAll(async () => {
    kafka = await startKafka();
  });
  afterAll(() => kafka[Symbol.asyncDispose]());

  test(
    `copy each record once and in order while ${events} of them are killed and stalled`,
    async () => {
      await using workers = await CopyWorkers.start(kafka, 3);
      for (let event = 0; event < events; event++) {
        await delay(1500 + any(1500));
        if (event % 3 === 2) await workers.stall(any(workers.count), STALL_MS);
        else await workers.kill(any(workers.count));
      }
      const { fed, wrong } = await workers.verdict();
      expect(wrong).toEqual([]);
      expect(fed).toBeGreaterThan(1000);
    },
    180_000 + events * 20_000,
  );
});

describeWhere(reason, 'workers of one group (three nodes)', () => {
  let kafka: TestKafka;
  beforeAll(async () => {
    kafka = await startKafka({ nodes: 3 });
  }, 180_000);
  afterAll(() => kafka[Symbol.asyncDispose]());

  test(
    `copy each record once and in order while ${events} nodes are killed, one after another`,
    async () => {
      await using workers = await CopyWorkers.start(kafka, 2);
      for (let event = 0; event < events; event++) {
        await delay(2000 + any(1500));
        const node = kafka.nodes[event % kafka.nodes.length];
        await node?.kill();
        await delay(2000);
        if (event % 3 === 1) await workers.kill(any(workers.count));
        await node?.start();
      }
      const { fed, wrong } = await workers.verdict();
      expect(wrong).toEqual([]);
      expect(fed).toBeGreaterThan(1000);
    },
    240_000 + events * 40_000,
  );
});
