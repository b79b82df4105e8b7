import { describe, expect, test } from 'vitest';
import { MillraceError } from '../errors.ts';
import { SmallPipeline } from '../tests/support/small-pipeline.ts';

const oneTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1);
const inOrder = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b);

describe('a failure', () => {
  test('that may pass opens its stage again, and is counted', async () => {
    const small = new SmallPipeline(6);
    let failures = 0;
    small.source.before = (number) => {
      if (number === 3 && failures++ < 2) throw new MillraceError('SOURCE_DISCONNECTED', 'cut');
    };
    const stop = new AbortController();
    small.source.acknowledged = (reached) => {
      if (Number(reached) === 6) stop.abort();
    };
    await using pipeline = await small.open();
    await pipeline.run(stop.signal);
    const [source] = (await pipeline.status()).stages;
    expect(source).toMatchObject({ stage: 'source', errors: 2, changes: 6 });
    expect(await pipeline.metricsText()).toContain('code="SOURCE_DISCONNECTED"} 2');
    expect(small.source.acked.map(Number)).toEqual(oneTo(6));
  });

  test('of any other kind stops the whole pipeline with that error, and health says so', async () => {
    const small = new SmallPipeline(100);
    small.table.before = () => {
      throw new MillraceError('SINK_FULL', 'no space');
    };
    await using pipeline = await small.open();
    expect(pipeline.unready()).toEqual([
      'source is starting',
      'compact is starting',
      'sink:duckdb is starting',
    ]);
    const run = pipeline.run(new AbortController().signal);
    await expect(run).rejects.toMatchObject({ code: 'SINK_FULL' });
    expect(pipeline.unhealthy()).toEqual(['sink:duckdb has failed: SINK_FULL']);
    expect(pipeline.unready()).toContain('sink:duckdb is failed: SINK_FULL: no space');
  });
});

describe('a stop', () => {
  test('lets the batch in hand be written and committed', async () => {
    const small = new SmallPipeline(8);
    const stop = new AbortController();
    let writes = 0;
    small.table.before = async () => {
      stop.abort();
      writes++;
      await new Promise((resolve) => setImmediate(resolve));
    };
    await using pipeline = await small.open();
    await pipeline.run(stop.signal);
    expect(writes).toBe(1);
    const { stages } = await pipeline.status();
    expect(stages.map(({ state }) => state)).toEqual(['stopped', 'stopped', 'stopped']);
    const sink = stages.at(-1);
    expect(sink?.changes).toBe(small.table.rows.length);
    expect(sink?.changes).toBeGreaterThan(0);
  });

  test('that takes too long says which stage holds it, and loses nothing', async () => {
    const small = new SmallPipeline(4, '50ms');
    const stop = new AbortController();
    small.table.before = (halt) => {
      stop.abort();
      return new Promise((_, reject) => {
        halt.addEventListener('abort', () => reject(new Error('halted')), { once: true });
      });
    };
    const broker = await small.openBroker();
    const pipeline = await small.open({ broker });
    await expect(pipeline.run(stop.signal)).rejects.toMatchObject({
      code: 'DRAIN_TIMEOUT',
      place: 'sink:duckdb',
    });
    await broker[Symbol.asyncDispose]();
    small.table.before = () => {};
    await small.runUntil(4);
    expect(inOrder(small.table.rows)).toEqual(oneTo(4));
  });

  test('that a failure has caused names the failure, however long it takes', async () => {
    const small = new SmallPipeline(4, '50ms');
    small.source.acknowledged = () => {
      throw new MillraceError('SLOT_LOST', 'gone');
    };
    small.table.before = (halt) =>
      new Promise((_, reject) => {
        halt.addEventListener('abort', () => reject(new Error('halted')), { once: true });
      });
    const broker = await small.openBroker();
    const pipeline = await small.open({ broker });
    const run = pipeline.run(new AbortController().signal);
    await expect(run).rejects.toMatchObject({ code: 'SLOT_LOST' });
    await broker[Symbol.asyncDispose]();
  });
});
