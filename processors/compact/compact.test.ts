import { readdirSync } from 'node:fs';
import type { PlainRecord } from '../../broker/records.ts';
import type { CompactProcessor } from './compact.ts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { processorConformance } from '../../tests/conformance/processor.ts';
import { ChangeRecords } from '../../tests/support/change-records.ts';
import {
  change,
  changes,
  CompactRun,
  input,
  insert,
  latest,
  registry,
  table,
} from '../../tests/support/compact-run.ts';

let run: CompactRun;
beforeEach(() => {
  run = new CompactRun();
});
afterEach(() => run[Symbol.dispose]());

const removal = (id: number, version: bigint): PlainRecord[] => {
  const row = { id, note: 'gone', body: null };
  const record = change({ op: 'd', key: { id }, version, row });
  return [record, { key: record.key, value: null, timestamp: record.timestamp, headers: [] }];
};

processorConformance('compact', async () => {
  const run = new CompactRun();
  const made = [10n, 20n, 30n].flatMap((version) =>
    [1, 2, 3].map((id) => insert(id, version + BigInt(id))),
  );
  const records = [
    ...made,
    ...made.slice(2, 6),
    ...removal(2, 40n),
    change({ op: 't', version: 50n }),
    ...made.slice(0, 2),
    insert(2, 61n),
    insert(4, 62n),
    insert(2, 61n),
    ...removal(4, 70n),
  ];
  return {
    make: () => run.make(),
    input: input.topic,
    records,
    histories: [changes.topic],
    compacted: [latest.topic],
    dropped: (processor) => {
      const { stale, tombstones, ignored } = (processor as CompactProcessor).counters;
      return stale + tombstones + ignored;
    },
    [Symbol.asyncDispose]: async () => run[Symbol.dispose](),
  };
});

test('changes pass through byte for byte, headers included', async () => {
  await using processor = await run.open();
  const given = [insert(1, 1n), insert(2, 2n), insert(3, 3n)];
  await run.give(processor, given);
  expect(run.log.records(changes)).toEqual(given);
  expect(run.log.records(latest)).toEqual(given);
});

test('two batches of a partition in one call are both in .latest', async () => {
  await using processor = await run.open();
  run.log.append(input, [insert(1, 1n), insert(2, 2n), insert(2, 3n), insert(3, 4n)]);
  const batches = [run.log.batch(input, 0, 2), run.log.batch(input, 2, 4)];
  run.log.publish((await processor.process(batches)).outgoing);
  const versions = run.log.records(latest).map(({ version }) => version);
  expect(versions).toEqual([1n, 2n, 3n, 4n]);
});

test('it says how many records of .latest those of a call supersede', async () => {
  await using processor = await run.open();
  const supersedes = async (given: readonly PlainRecord[]): Promise<number | undefined> => {
    const from = run.log.records(input).length;
    run.log.append(input, given);
    const batch = run.log.batch(input, from, from + given.length);
    const { outgoing } = await processor.process([batch]);
    run.log.publish(outgoing);
    return outgoing.find(({ topic }) => topic === latest.topic)?.supersedes;
  };
  expect(await supersedes([insert(1, 1n), insert(2, 2n), insert(3, 3n)])).toBe(0);
  expect(await supersedes([insert(2, 4n), insert(2, 5n), insert(4, 6n)])).toBe(1);
  expect(await supersedes([...removal(1, 7n), ...removal(4, 8n), insert(1, 9n)])).toBe(2);
  expect(await supersedes([insert(4, 10n), insert(5, 11n)])).toBe(1);
});

test('a change at or below the newest version of its key is dropped and counted', async () => {
  await using processor = await run.open();
  await run.give(processor, [insert(1, 5n), insert(1, 5n), insert(1, 4n)]);
  await run.give(processor, [insert(1, 3n), insert(1, 6n)]);
  expect(run.log.records(changes).map(({ version }) => version)).toEqual([5n, 6n]);
  expect(processor.counters).toMatchObject({ in: 5, changes: 2, latest: 2, stale: 3 });
});

test('versions are compared as signed 64-bit numbers', async () => {
  await using processor = await run.open();
  const versions = [
    -(2n ** 63n) + 1n,
    -1n,
    0n,
    0x7fff_ffffn,
    0x8000_0000n,
    2n ** 32n,
    2n ** 63n - 1n,
  ];
  await run.give(
    processor,
    versions.map((version) => insert(1, version)),
  );
  expect(run.log.records(changes).map(({ version }) => version)).toEqual(versions);
  await run.give(
    processor,
    versions.map((version) => insert(1, version)),
  );
  expect(processor.counters.stale).toBe(versions.length);
});

test('only the newest record of a key in one call goes to latest', async () => {
  await using processor = await run.open();
  await run.give(processor, [insert(1, 1n), insert(2, 2n), insert(1, 3n), insert(1, 4n)]);
  expect(run.log.records(latest).map(({ version }) => version)).toEqual([2n, 4n]);
});

test('a key stays the same key under a new schema id', async () => {
  await using processor = await run.open();
  const first = insert(1, 1n);
  const key = Buffer.from(first.key as Buffer);
  key.writeUInt32BE(77, 1);
  await run.give(processor, [first, { ...first, key }]);
  expect(processor.counters.stale).toBe(1);
});

test('a delete leaves one tombstone in latest; the tombstone of the raw topic is dropped', async () => {
  await using processor = await run.open();
  const before = { id: 1, note: 'a', body: 'b' };
  const gone = change({ op: 'd', key: { id: 1 }, version: 2n, row: before });
  await run.give(processor, [
    insert(1, 1n),
    gone,
    { key: gone.key, value: null, timestamp: gone.timestamp },
  ]);
  expect(run.log.records(changes).map(({ op }) => op)).toEqual(['c', 'd']);
  expect(run.log.records(latest)).toEqual([
    { key: gone.key, value: null, timestamp: gone.timestamp, op: 'd', version: 2n, headers: [] },
  ]);
  expect(processor.counters).toMatchObject({ in: 3, tombstones: 1, latest: 1 });
});

test('an older upsert does not bring a deleted row back, also after a restart', async () => {
  const gone = change({
    op: 'd',
    key: { id: 1 },
    version: 5n,
    row: { id: 1, note: null, body: null },
  });
  {
    await using processor = await run.open();
    await run.give(processor, [gone]);
  }
  await using processor = await run.open();
  await run.give(processor, [insert(1, 4n)]);
  expect(processor.counters.stale).toBe(1);
  expect(run.log.records(changes)).toHaveLength(1);
});

test('records without a key go to changes only', async () => {
  const keyless = await ChangeRecords.of({ ...table, key: [] }, registry);
  await using processor = await run.open();
  const given = keyless.record({ op: 'c', version: 1n, row: { id: 1, note: 'a', body: null } });
  await run.give(processor, [given, given]);
  expect(run.log.records(changes)).toEqual([given, given]);
  expect(run.log.records(latest)).toEqual([]);
});

test('a logical message is no change: it is counted and passes nowhere', async () => {
  await using processor = await run.open();
  await run.give(processor, [change({ op: 'm', version: 1n })]);
  expect(run.log.records(changes)).toEqual([]);
  expect(processor.counters).toMatchObject({ in: 1, ignored: 1 });
});

test('a record without a version is refused with its place', async () => {
  await using processor = await run.open();
  const { version: _, op: __, ...foreign } = insert(2, 2n);
  await expect(run.give(processor, [insert(1, 1n), foreign])).rejects.toMatchObject({
    code: 'RECORD_MALFORMED',
    place: `${input.topic}, partition 0, offset 1`,
  });
});

test('files of rows are gone by name while they are open', async () => {
  await using processor = await run.open();
  await run.give(processor, [insert(1, 1n)]);
  expect(processor.size.rowBytes).toBeGreaterThan(0);
  expect(readdirSync(run.stateDirectory)).toEqual([]);
});

test('a closed partition forgets its keys, and its rows become garbage', async () => {
  await using processor = await run.open();
  await run.give(processor, [insert(1, 1n)]);
  await processor.close(input);
  expect(processor.size.keys).toBe(0);
  await expect(processor.process([run.log.batch(input, 0, 1)])).rejects.toThrow('not open');
});
