import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { PlainRecord } from '../../broker/records.ts';
import { silent, type Log } from '../../log.ts';
import type { Change } from '../../tests/support/change-records.ts';
import { change, changes, decodedAt, input, registry } from '../../tests/support/compact-run.ts';
import { TopicLog } from '../../tests/support/topic-log.ts';
import { compactProcessor, type CompactOptions, type CompactProcessor } from './compact.ts';

let stateDirectory: string;
let log: TopicLog;
let warnings: unknown[];
beforeEach(() => {
  stateDirectory = mkdtempSync(join(tmpdir(), 'compact-'));
  log = new TopicLog();
  warnings = [];
});
afterEach(() => rmSync(stateDirectory, { recursive: true }));

const at = (partition: number) => ({ ...input, partition });

const warn = (about: unknown): void => void warnings.push(about);

/** A stage that has some partitions. */
async function stage(
  partitions: readonly number[],
  options: Partial<CompactOptions> = {},
): Promise<CompactProcessor> {
  const processor = compactProcessor(
    { stateDirectory, ...options },
    { registry, log: { ...silent, warn } as Log },
  );
  for (const partition of partitions) await processor.open(at(partition), log);
  return processor;
}

/** Gives the next so many records of some partitions as one delivery; what is paused after it. */
async function give(
  processor: CompactProcessor,
  wanted: readonly (readonly [partition: number, from: number, to: number])[],
): Promise<number[]> {
  let batches = wanted.map(([partition, from, to]) => log.batch(at(partition), from, to));
  for (;;) {
    const { outgoing, consumed, more, paused } = await processor.process(batches);
    log.publish(outgoing, consumed);
    if (!more) return paused.map(({ partition }) => partition);
    batches = [];
  }
}

const committed = async (partition: number): Promise<number> =>
  (await log.progress(at(partition))).next;

const bodies = async (partition: number): Promise<unknown[]> =>
  (await decodedAt(log, { ...changes, partition })).map(({ op, row }) => [op, row?.['body']]);

const created = (id: number, version: bigint): PlainRecord =>
  change({ op: 'c', key: { id }, version, row: { id, note: 'n', body: `body ${id}` } });

const partial = (rest: Omit<Change, 'row' | 'unchanged'>): PlainRecord =>
  change({
    ...rest,
    row: { id: rest.key?.['id'], note: 'n', body: 'placeholder' },
    unchanged: ['body'],
  });

const leaves = (id: number, to: number, version: bigint): PlainRecord =>
  partial({ op: 'd', key: { id }, version, newKey: { id: to } });

function arrives(id: number, from: number, version: bigint, oldPartition: number): PlainRecord {
  const record = partial({ op: 'c', key: { id }, version, oldKey: { id: from } });
  const header = { name: 'millrace.oldpartition', value: Buffer.from(String(oldPartition)) };
  return { ...record, headers: [...(record.headers ?? []), header] };
}

/** Row 1 of partition 0 becomes row 2 of partition 1, and changes there. */
function moveOne(): void {
  log.append(at(0), [created(1, 1n), leaves(1, 2, 2n)]);
  log.append(at(1), [
    created(9, 1n),
    arrives(2, 1, 2n, 0),
    partial({ op: 'u', key: { id: 2 }, version: 3n }),
  ]);
}

const whole = [
  ['c', 'body 9'],
  ['c', 'body 1'],
  ['u', 'body 1'],
];

test('a row from another partition takes along what was not sent, in one call in any order', async () => {
  moveOne();
  await using processor = await stage([0, 1]);
  expect(
    await give(processor, [
      [1, 0, 3],
      [0, 0, 2],
    ]),
  ).toEqual([]);
  expect(await bodies(1)).toEqual(whole);
  expect(processor.counters).toMatchObject({ stillPartial: 0 });
});

test('a row whose old partition is behind waits, its partition is paused, and nothing passes it', async () => {
  moveOne();
  await using processor = await stage([0, 1]);
  expect(await give(processor, [[1, 0, 3]])).toEqual([1]);
  expect([await bodies(1), await committed(1)]).toEqual([[['c', 'body 9']], 1]);
  expect(await give(processor, [[0, 0, 1]])).toEqual([1]);
  expect(await give(processor, [])).toEqual([1]);
  // What is delivered in spite of the pause stays behind.
  log.append(at(1), [created(8, 4n)]);
  expect(await give(processor, [[1, 3, 4]])).toEqual([1]);
  expect(await give(processor, [[0, 1, 2]])).toEqual([]);
  expect(await bodies(1)).toEqual([...whole, ['c', 'body 8']]);
  expect(await committed(1)).toBe(4);
});

test('two stages that know nothing of each other meet over the topics, also after restarts', async () => {
  moveOne();
  await using source = await stage([0]);
  {
    await using target = await stage([1]);
    expect(await give(target, [[1, 0, 3]])).toEqual([1]);
  }
  await give(source, [[0, 0, 2]]);
  await using target = await stage([1]);
  expect(await give(target, [[1, 1, 3]])).toEqual([]);
  expect(await bodies(1)).toEqual(whole);
});

test('a row that waits finds what comes while it does, without being given again', async () => {
  moveOne();
  await using source = await stage([0]);
  await using target = await stage([1]);
  expect(await give(target, [[1, 0, 3]])).toEqual([1]);
  await give(source, [[0, 0, 2]]);
  expect(await give(target, [])).toEqual([]);
  expect(await bodies(1)).toEqual(whole);
});

test('a row that goes through three partitions and back keeps its value, whatever each call may make', async () => {
  for (const outgoingBytesMax of [1, 1_000_000]) {
    log = new TopicLog();
    log.append(at(0), [created(1, 1n), leaves(1, 2, 2n), arrives(1, 3, 4n, 2)]);
    log.append(at(1), [arrives(2, 1, 2n, 0), leaves(2, 3, 3n)]);
    log.append(at(2), [arrives(3, 2, 3n, 1), leaves(3, 1, 4n)]);
    await using processor = await stage([0, 1, 2], { outgoingBytesMax });
    const all = [
      [2, 0, 2],
      [1, 0, 2],
      [0, 0, 3],
    ] as const;
    expect(await give(processor, all)).toEqual([]);
    const moved = [
      ['c', 'body 1'],
      ['d', 'body 1'],
    ];
    expect([await bodies(0), await bodies(1), await bodies(2)]).toEqual([
      [...moved, ['c', 'body 1']],
      moved,
      moved,
    ]);
  }
});

test('a delete that its partition has dropped is not waited for: the list stays, and it is said', async () => {
  // A copy has overtaken the delete, which is stale then.
  log.append(at(0), [created(1, 1n), created(1, 5n), leaves(1, 2, 2n)]);
  log.append(at(1), [arrives(2, 1, 2n, 0), created(7, 6n)]);
  await using processor = await stage([0, 1]);
  expect(await give(processor, [[1, 0, 2]])).toEqual([1]);
  expect(await give(processor, [[0, 0, 3]])).toEqual([]);
  expect(await bodies(1)).toEqual([
    ['c', undefined],
    ['c', 'body 7'],
  ]);
  expect(processor.counters).toMatchObject({ stillPartial: 1, stale: 1 });
  expect(warnings).toEqual([at(1)]);
});

test('a row that is stale in its new partition asks nobody', async () => {
  log.append(at(1), [created(2, 5n), arrives(2, 1, 2n, 0)]);
  await using processor = await stage([1]);
  expect(await give(processor, [[1, 0, 2]])).toEqual([]);
  expect(processor.counters).toMatchObject({ stale: 1 });
});

test('a partition that is taken away while it waits is not paused any more', async () => {
  moveOne();
  await using processor = await stage([0, 1]);
  expect(await give(processor, [[1, 0, 3]])).toEqual([1]);
  await processor.close(at(1));
  expect(await give(processor, [])).toEqual([]);
});

test.each(['', '-1', 'x'])('a header that names no partition is refused: %j', async (text) => {
  const record = arrives(2, 1, 2n, 0);
  const value = Buffer.from(text);
  const headers = record.headers?.map((one) =>
    one.name === 'millrace.oldpartition' ? { ...one, value } : one,
  );
  log.append(at(1), [{ ...record, ...(headers === undefined ? {} : { headers }) }]);
  await using processor = await stage([1]);
  await expect(give(processor, [[1, 0, 1]])).rejects.toMatchObject({
    code: 'RECORD_MALFORMED',
    place: `${input.topic}, partition 1, offset 0`,
  });
});

test('a header that names the partition of the record itself is not waited for', async () => {
  log.append(at(1), [arrives(2, 1, 2n, 1)]);
  await using processor = await stage([1]);
  expect(await give(processor, [[1, 0, 1]])).toEqual([]);
  expect(processor.counters).toMatchObject({ stillPartial: 1 });
});
