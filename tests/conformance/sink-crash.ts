import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { topicName } from '../../broker/broker.ts';
import { memoryRegistry } from '../support/changes.ts';
import type { SinkFactory, SinkTarget } from './sink-under-test.ts';
import { CRASH_BATCH, crashChange } from './sink-writer.ts';

const KILLS = Number(process.env['KILLS'] ?? 4);

export function sinkCrash(factory: SinkFactory): void {
  test(`a writer killed ${KILLS} times leaves rows and ledger that agree`, async () => {
    await using target = await factory.target();
    let acked = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      acked = Math.max(acked, await killAfter(target, 1 + kill));
      const next = await nextOf(target);
      expect(next % CRASH_BATCH).toBe(0);
      expect(next).toBeGreaterThanOrEqual(acked);
      expect(await target.rows('public.orders', ['id', 'a', '_version'])).toEqual(rowsAt(next));
    }
    expect(acked).toBeGreaterThan(0);
  });
}

async function nextOf(target: SinkTarget): Promise<number> {
  const registry = memoryRegistry();
  await using sink = target.sink({ registry });
  const topic = topicName('shop.public.orders.changes');
  return (await sink.open([{ topic, partition: 0 }]))[0]?.next ?? 0;
}

/** The table after all changes before an offset. */
function rowsAt(next: number): string[][] {
  const rows = new Map<unknown, string[]>();
  for (let at = 0; at < next; at++) {
    const { op, version, before, after } = crashChange(at);
    if (op === 'd') rows.delete(before?.['id']);
    else rows.set(after?.['id'], [String(after?.['id']), String(after?.['a']), String(version)]);
  }
  return [...rows.values()].sort(byText);
}

export function byText(one: readonly unknown[], other: readonly unknown[]): number {
  const [a, b] = [JSON.stringify(one), JSON.stringify(other)];
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Kills the writer when it has acknowledged so many batches, and a moment; the offset it reached. */
async function killAfter(target: SinkTarget, count: number): Promise<number> {
  const writer = target.startWriter();
  if (writer.stdout === null) throw new Error('the writer has no output to wait for');
  let acked = 0;
  let seen = 0;
  const exited = once(writer, 'exit');
  const enough = Promise.withResolvers<void>();
  createInterface({ input: writer.stdout }).on('line', (line) => {
    acked = Number(/^acked (\d+)$/.exec(line)?.[1] ?? acked);
    if (++seen >= count) enough.resolve();
  });
  const early = exited.then(([code]) => {
    if (seen < count) throw new Error(`the writer ended by itself with ${String(code)}`);
  });
  await Promise.race([enough.promise, early]);
  // Anywhere in the next write: the place of the kill is what this test varies.
  await sleep(Math.random() * 20);
  writer.kill('SIGKILL');
  await exited;
  return acked;
}
