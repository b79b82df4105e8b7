import { afterEach, beforeEach, expect, test } from 'vitest';
import type { PlainRecord } from '../../broker/records.ts';
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

const update = (version: bigint, unchanged: readonly string[], rest: object): PlainRecord =>
  change({
    op: 'u',
    key: { id: 1 },
    version,
    row: { id: 1, note: null, body: null, ...rest },
    unchanged,
  });

test('an update gets the columns that were not sent, within one call and across a restart', async () => {
  {
    await using processor = await run.open();
    await run.give(processor, [insert(1, 1n, 'long'), update(2n, ['body'], { note: 'b' })]);
    await run.give(processor, [update(3n, ['note', 'body'], {})]);
    expect(processor.counters).toMatchObject({ madeWhole: 2, stillPartial: 0 });
  }
  await using processor = await run.open();
  await run.give(processor, [update(4n, ['body'], { note: 'd' })]);
  expect((await run.decoded(changes)).map((one) => one.row)).toEqual([
    { id: 1, note: 'v1', body: 'long' },
    { id: 1, note: 'b', body: 'long' },
    { id: 1, note: 'b', body: 'long' },
    { id: 1, note: 'd', body: 'long' },
  ]);
  // Byte for byte what the source would have written had it sent all columns.
  const full = change({
    op: 'u',
    key: { id: 1 },
    version: 4n,
    row: { id: 1, note: 'd', body: 'long' },
  });
  expect(run.log.records(changes).at(-1)).toEqual(full);
  expect(run.log.records(latest).at(-1)).toEqual(full);
});

const exact = (record: PlainRecord, text: object): PlainRecord => ({
  ...record,
  headers: [
    ...(record.headers ?? []),
    { name: 'millrace.exact', value: Buffer.from(JSON.stringify(text)) },
  ],
});

test('a column that is put in brings along what its type could not say of it', async () => {
  await using processor = await run.open();
  await run.give(processor, [
    exact(insert(1, 1n, 'long'), {
      after: [
        ['body', '{{1}}'],
        ['note', 'gone'],
      ],
    }),
    exact(update(2n, ['body'], { note: 'b' }), { after: [['note', 'NaN']] }),
    update(3n, ['body'], { note: 'c' }),
  ]);
  const told = run.log
    .records(changes)
    .map(({ headers }) => headers?.map(({ name, value }) => [name, String(value)]));
  expect(told.slice(1)).toEqual([
    [
      [
        'millrace.exact',
        JSON.stringify({
          after: [
            ['note', 'NaN'],
            ['body', '{{1}}'],
          ],
        }),
      ],
    ],
    [['millrace.exact', JSON.stringify({ after: [['body', '{{1}}']] })]],
  ]);
});

test('where the row is not known the list stays, with what is still missing', async () => {
  {
    await using processor = await run.open();
    await run.give(processor, [
      update(1n, ['note', 'body'], {}),
      update(2n, ['body'], { note: 'b' }),
      update(3n, ['note', 'body'], {}),
    ]);
    expect(processor.counters).toMatchObject({ madeWhole: 0, stillPartial: 3 });
  }
  await using processor = await run.open();
  await run.give(processor, [update(4n, ['note', 'body'], {})]);
  expect((await run.decoded(changes)).map((one) => one.row)).toEqual([
    { id: 1 },
    { id: 1, note: 'b' },
    { id: 1, note: 'b' },
    { id: 1, note: 'b' },
  ]);
});

test('a delete that says only the key gets the deleted row', async () => {
  await using processor = await run.open();
  const gone = { id: 1, note: null, body: null };
  await run.give(processor, [
    insert(1, 1n, 'long'),
    change({ op: 'd', key: { id: 1 }, version: 2n, row: gone, unchanged: ['note', 'body'] }),
  ]);
  const [, deleted] = await run.decoded(changes);
  expect(deleted).toMatchObject({ op: 'd', row: { id: 1, note: 'v1', body: 'long' } });
});

const move = (version: bigint): [PlainRecord, PlainRecord] => [
  change({
    op: 'd',
    key: { id: 1 },
    version,
    row: { id: 1, note: null, body: null },
    unchanged: ['note', 'body'],
    newKey: { id: 2 },
  }),
  change({
    op: 'c',
    key: { id: 2 },
    version,
    row: { id: 2, note: 'moved', body: null },
    unchanged: ['body'],
    oldKey: { id: 1 },
  }),
];

test('the new row of a key change gets columns of the old key', async () => {
  await using processor = await run.open();
  await run.give(processor, [insert(1, 1n, 'long'), ...move(2n)]);
  expect((await run.decoded(changes)).at(-1)).toMatchObject({
    row: { id: 2, note: 'moved', body: 'long' },
    headers: ['__debezium.oldkey'],
  });
});

test('a key change cut in two by the end of a batch, or by a restart, is still whole', async () => {
  const [gone, come] = move(2n);
  {
    await using processor = await run.open();
    await run.give(processor, [insert(1, 1n, 'long'), gone]);
    const other = await run.open();
    await run.give(other, []);
    await other[Symbol.asyncDispose]();
  }
  await using processor = await run.open();
  await run.give(processor, [{ ...gone, value: null, headers: [] }, come]);
  expect((await run.decoded(changes)).at(-1)?.row).toEqual({ id: 2, note: 'moved', body: 'long' });
  expect((await run.decoded(latest)).map((one) => one.op)).toEqual(['d', 'c']);
});

test('an insert does not take columns of another key change', async () => {
  const [gone] = move(2n);
  const [, come] = move(3n);
  await using processor = await run.open();
  await run.give(processor, [insert(1, 1n, 'long'), gone, come]);
  expect((await run.decoded(changes)).at(-1)?.row).toEqual({ id: 2, note: 'moved' });
  expect(processor.counters.stillPartial).toBe(1);
});

test('after a change of schema a column is taken only if its type is the same', async () => {
  const wider = await ChangeRecords.of(
    {
      ...table,
      columns: [
        { name: 'extra', type: { kind: 'int64' }, optional: true },
        { name: 'id', type: { kind: 'int32' }, optional: false },
        { name: 'body', type: { kind: 'string' }, optional: true },
        { name: 'note', type: { kind: 'json' }, optional: true },
      ],
    },
    registry,
  );
  await using processor = await run.open();
  await run.give(processor, [
    insert(1, 1n, 'long'),
    wider.record({
      op: 'u',
      key: { id: 1 },
      version: 2n,
      row: { extra: null, id: 1, body: null, note: null },
      unchanged: ['extra', 'note', 'body'],
    }),
  ]);
  expect((await run.decoded(changes)).at(-1)?.row).toEqual({ id: 1, body: 'long' });
});

test('each schema id is asked for once, and only where a row is to be made whole', async () => {
  await using processor = await run.open();
  registry.asked.length = 0;
  await run.give(processor, [insert(1, 1n)]);
  expect(registry.asked).toEqual([]);
  await run.give(processor, [update(2n, ['body'], {}), update(3n, ['body'], {})]);
  await run.give(processor, [update(4n, ['body'], {})]);
  expect(registry.asked).toHaveLength(1);
});

test.each([
  ['not JSON', '{'],
  ['no list', '{"a":1}'],
  ['an unknown column', '["nope"]'],
])('a list of unchanged columns that is %s is refused', async (_, text) => {
  await using processor = await run.open();
  const bad = {
    ...insert(1, 1n),
    headers: [{ name: 'millrace.unchanged', value: Buffer.from(text) }],
  };
  await expect(run.give(processor, [bad])).rejects.toMatchObject({ code: 'RECORD_MALFORMED' });
});

test('rows that grow many times over are handed out in several calls', async () => {
  await using processor = await run.open({ outgoingBytesMax: 100_000 });
  await run.give(processor, [insert(1, 1n, 'x'.repeat(20_000))]);
  const from = run.log.records(input).length;
  run.log.append(
    input,
    Array.from({ length: 50 }, (_, at) => update(BigInt(2 + at), ['body'], {})),
  );
  let batches = [run.log.batch(input, from, from + 50)];
  const sizes: number[] = [];
  const consumed: number[] = [];
  for (let more = true; more; batches = []) {
    const processed = await processor.process(batches);
    ({ more } = processed);
    sizes.push(processed.outgoing.reduce((sum, { records }) => sum + records.bytes, 0));
    consumed.push(...processed.consumed.map(({ next }) => next));
    run.log.publish(processed.outgoing);
  }
  expect(Math.max(...sizes)).toBeLessThan(150_000);
  expect(consumed.slice(0, 2)).toEqual([from + 5, from + 10]);
  expect(consumed.at(-1)).toBe(from + 50);
  expect(run.log.records(changes)).toHaveLength(51);
});
