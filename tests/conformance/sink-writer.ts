import type { Sink } from '../../sinks/sink.ts';
import type { SchemaRegistry } from '../../schemas/registry.ts';
import { batchOf, TableChangesBuilder, type TestChange } from '../support/changes.ts';
import { ordersShape, SIGNAL } from './sink-under-test.ts';

/** Changes in every batch of the crash test; batch `n` has offsets from `n * CRASH_BATCH`. */
export const CRASH_BATCH = 700;

/** The change at an offset: keys come, change and go in a way that only the offset decides. */
export function crashChange(at: number): TestChange {
  const id = (at * 7919) % 1500;
  const image = { id, a: `text ${at}`, b: BigInt(at) };
  const version = at + 1;
  return at % 10 === 7
    ? { op: 'd', version, before: image }
    : { op: 'u', version, before: null, after: image };
}

/** Writes batch after batch until the process is killed; prints `acked <offset>` when one is durable. */
export async function writeForever(sink: Sink, registry: SchemaRegistry): Promise<never> {
  const orders = await TableChangesBuilder.register(ordersShape(), registry);
  const { topic } = orders;
  const [found] = await sink.open([{ topic, partition: 0 }]);
  for (let base: number = found?.next ?? 0; ; base += CRASH_BATCH) {
    const records = Array.from({ length: CRASH_BATCH }, (_, index) =>
      orders.record(crashChange(base + index)),
    );
    await sink.write([batchOf(records, { topic, base, segmentRecords: 100 })], SIGNAL);
    process.stdout.write(`acked ${base + CRASH_BATCH}\n`);
  }
}
