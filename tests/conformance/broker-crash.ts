import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, vi } from 'vitest';
import type { Broker, TopicName } from '../../broker/broker.ts';
import type { BrokerTest } from './broker-under-test.ts';
import { readAll, settings } from './broker-under-test.ts';
import { crashTopics, sizeOf } from './broker-writer.ts';

const KILLS = Number(process.env['KILLS'] ?? 8);

/** Names the group and the topics of the writer's process. */
export const CRASH_NAME = 'crash';

export function brokerCrash(test: BrokerTest): void {
  vi.setConfig({ testTimeout: 60_000 + KILLS * 10_000 });
  test(
    `a writer killed ${KILLS} times leaves whole publishes only, each copied once with its offsets`,
    async (under) => {
      const names = crashTopics(CRASH_NAME);
      await under.broker.createTopics(Object.values(names).map((topic) => settings(topic)));
      let acked = -1;
      for (let kill = 0; kill < KILLS; kill++) {
        const writer = await under.startWriter();
        acked = Math.max(acked, await killAfter(writer, 1 + Math.floor(Math.random() * 12)));
        await under.reopen();
        const input = await numbers(under.broker, names.input);
        const first = await numbers(under.broker, names.first);
        const second = await numbers(under.broker, names.second);
        expectWhole(input);
        expect(first).toEqual(second);
        expect(first).toEqual(input.slice(0, first.length));
        expect(last(first)).toBeGreaterThanOrEqual(acked);
        expect(last(input) - last(first)).toBeLessThanOrEqual(1);
      }
      expect(acked).toBeGreaterThanOrEqual(KILLS);
    },
    'kill the writer',
  );
}

/** Kills the process when it has acknowledged so many publishes, and a moment; the last one acknowledged. */
async function killAfter(writer: ChildProcess, count: number): Promise<number> {
  if (writer.stdout === null) throw new Error('the writer has no output to wait for');
  let acked = -1;
  let seen = 0;
  const exited = once(writer, 'exit');
  const enough = Promise.withResolvers<void>();
  createInterface({ input: writer.stdout }).on('line', (line) => {
    acked = Math.max(acked, Number(/^acked (\d+)$/.exec(line)?.[1] ?? -1));
    if (++seen >= count) enough.resolve();
  });
  const early = exited.then(([code]) => {
    if (seen < count) throw new Error(`the writer ended by itself with ${String(code)}`);
  });
  await Promise.race([enough.promise, early]);
  // Anywhere in the next publish: the place of the kill is what this test varies.
  await sleep(Math.random() * 10);
  writer.kill('SIGKILL');
  await exited;
  return acked;
}

/** Number of the publish of each record, in order. */
async function numbers(broker: Broker, topic: TopicName): Promise<number[]> {
  return (await readAll(broker, topic)).map(({ value }) => Number.parseInt(value ?? '', 10));
}

const last = (list: readonly number[]): number => list.at(-1) ?? -1;

/** 0, 1, 2 … without a gap, each with all its records. */
function expectWhole(found: readonly number[]): void {
  const expected: number[] = [];
  for (let publish = 0; publish <= last(found); publish++) {
    for (let index = 0; index < sizeOf(publish); index++) expected.push(publish);
  }
  expect(found).toEqual(expected);
}
