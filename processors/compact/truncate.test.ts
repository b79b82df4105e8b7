import { afterEach, beforeEach, expect, test } from 'vitest';
import type { PlainRecord } from '../../broker/records.ts';
import {
  change,
  changes,
  CompactRun,
  input,
  insert,
  latest,
} from '../../tests/support/compact-run.ts';

let run: CompactRun;
beforeEach(() => {
  run = new CompactRun();
});
afterEach(() => run[Symbol.dispose]());

const truncate = (version: bigint): PlainRecord => change({ op: 't', version });

test('every live key of a lower version gets a tombstone; newer rows stay', async () => {
  await using processor = await run.open();
  await run.give(processor, [insert(1, 1n), insert(2, 2n), insert(9, 20n)]);
  await run.give(processor, [insert(3, 3n), truncate(10n), insert(2, 11n)]);
  expect((await run.decoded(changes)).map(({ op }) => op).join('')).toBe('cccctc');
  const found = (await run.decoded(latest)).slice(3);
  expect(found.map(({ op, version, row: image }) => [op, version, image === null])).toEqual([
    ['d', 10n, true],
    ['d', 10n, true],
    ['d', 10n, true],
    ['c', 11n, false],
  ]);
  expect(processor.counters).toMatchObject({ truncates: 1, changes: 6, latest: 7 });
});

test('a second delivery, and older changes of any key, are stale, also after a restart', async () => {
  const given = [insert(1, 1n), insert(2, 2n), truncate(10n)];
  {
    await using processor = await run.open();
    await run.give(processor, given);
    await run.give(processor, [...given, insert(5, 4n)]);
    expect(processor.counters.stale).toBe(4);
  }
  await using processor = await run.open();
  await run.give(processor, [...given, insert(5, 4n)]);
  expect(processor.counters.stale).toBe(4);
  expect(run.log.records(changes)).toHaveLength(3);
});

test('one that needs several calls is done once, wherever it is interrupted', async () => {
  const given = Array.from({ length: 100 }, (_, id) => insert(id, BigInt(id)));
  for (const calls of [1, 2, 3]) {
    using run = new CompactRun();
    {
      await using processor = await run.open();
      await run.give(processor, given);
    }
    let start = given.length;
    run.log.append(input, [truncate(1000n), insert(7, 1001n)]);
    {
      await using processor = await run.open({ outgoingBytesMax: 1000 });
      let batches = [run.log.batch(input, start, start + 2)];
      for (let call = 0; call < calls; call++, batches = []) {
        const { outgoing, consumed, more } = await processor.process(batches);
        expect(more).toBe(true);
        start = consumed[0]?.next ?? start;
        run.log.publish(outgoing);
      }
    }
    expect(start).toBe(given.length);
    expect(run.log.records(changes)).toHaveLength(100);
    await using processor = await run.open({ outgoingBytesMax: 1000 });
    let batches = [run.log.batch(input, start, start + 2)];
    for (let more = true; more; batches = []) {
      const processed = await processor.process(batches);
      ({ more } = processed);
      run.log.publish(processed.outgoing);
    }
    expect(
      run.log
        .records(changes)
        .slice(100)
        .map(({ op }) => op),
    ).toEqual(['t', 'c']);
    const tombstones = run.log.records(latest).filter(({ value }) => value === null);
    expect(new Set(tombstones.map(({ key }) => key?.toString('hex'))).size).toBe(100);
    expect(tombstones).toHaveLength(100);
  }
});
