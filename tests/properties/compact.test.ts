import { ok } from 'node:assert/strict';
import {
  array,
  asyncProperty,
  assert as check,
  boolean,
  constantFrom,
  integer,
  record,
  type Arbitrary,
} from 'fast-check';
import { expect, test } from 'vitest';
import type { PlainRecord } from '../../broker/records.ts';
import type { CompactProcessor } from '../../processors/compact/compact.ts';
import { ChangeRecords, type DecodedChange } from '../support/change-records.ts';
import { changes, CompactRun, input, latest, registry, table } from '../support/compact-run.ts';
import { TableHistory, type Step } from '../support/table-history.ts';

const seed = process.env['SEED'] === undefined ? Date.now() | 0 : Number(process.env['SEED']);
const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 5);

const schemas = [
  await ChangeRecords.of(table, registry),
  await ChangeRecords.of(
    {
      ...table,
      columns: [
        { name: 'id', type: { kind: 'int32' }, optional: false },
        { name: 'extra', type: { kind: 'string' }, optional: true },
        { name: 'note', type: { kind: 'json' }, optional: true },
        { name: 'body', type: { kind: 'string' }, optional: true },
      ],
    },
    registry,
  ),
] as const;

const steps: Arbitrary<Step[]> = array(
  record({
    kind: constantFrom<Step['kind'][]>(
      'insert',
      'insert',
      'insert',
      'update',
      'update',
      'update',
      'delete',
      'move',
      'move',
      'move-in',
      'move-out',
      'truncate',
      'schema',
    ),
    id: integer({ min: 0, max: 6 }),
    to: integer({ min: 0, max: 6 }),
    sendsNote: boolean(),
    sendsBody: boolean(),
  }),
  { minLength: 1, maxLength: 60 },
);

/** How the stream is cut, repeated and interrupted. Positions are shares of what there is. */
const delivery = record({
  repeats: array(
    record({
      at: integer({ min: 0, max: 99 }),
      from: integer({ min: 0, max: 99 }),
      one: boolean(),
    }),
    { maxLength: 4 },
  ),
  batches: array(
    record({
      size: integer({ min: 0, max: 12 }),
      segment: integer({ min: 1, max: 5 }),
      after: constantFrom('go on', 'go on', 'go on', 'restart', 'crash', 'compact'),
    }),
    { minLength: 1, maxLength: 20 },
  ),
  outgoingBytesMax: constantFrom(1, 300, 2000, 1_000_000),
  rowSegmentBytes: constantFrom(200, 2000, 1_000_000),
  waits: boolean(),
});

type Delivery = typeof delivery extends Arbitrary<infer T> ? T : never;

/** The stream with parts of it delivered again, later. */
function repeated(records: readonly PlainRecord[], repeats: Delivery['repeats']): PlainRecord[] {
  const found = [...records];
  for (const { at, from, one } of repeats) {
    const place = Math.floor((found.length * at) / 100);
    const start = Math.floor((place * from) / 100);
    found.splice(place, 0, ...found.slice(start, one ? start + 1 : place));
  }
  return found;
}

/** Runs the stage over the stream; whoever publishes a result goes on after what it consumed. */
async function deliver(run: CompactRun, total: number, how: Delivery): Promise<void> {
  const { outgoingBytesMax, rowSegmentBytes } = how;
  const open = (): Promise<CompactProcessor> => run.open({ outgoingBytesMax, rowSegmentBytes });
  let processor = await open();
  let committed = 0;
  let read = 0;
  let more = false;
  for (let turn = 0; committed < total || more; turn++) {
    const { size, segment, after } = how.batches[turn % how.batches.length]!;
    const end = Math.min(read + size + (turn > how.batches.length ? 1 : 0), total);
    const batches =
      (how.waits && more) || end === read ? [] : [run.log.batch(input, read, end, segment)];
    if (batches.length > 0) read = end;
    const processed = await processor.process(batches);
    const restarts = turn < 3 * how.batches.length && (after === 'restart' || after === 'crash');
    if (!restarts || after === 'restart') {
      run.log.publish(processed.outgoing);
      const next = processed.consumed[0]?.next ?? committed;
      ok(next >= committed, 'I2: offsets never go back');
      committed = next;
    }
    ({ more } = processed);
    if (after === 'compact') run.log.compact(latest);
    if (!restarts) continue;
    await processor[Symbol.asyncDispose]();
    processor = await open();
    read = committed;
    more = false;
  }
  await processor[Symbol.asyncDispose]();
}

/** A truncate that left no trace may be said twice if it was delivered twice: it changes nothing. */
function withoutRepeatedTruncates(found: readonly DecodedChange[]): DecodedChange[] {
  const seen = new Set<bigint>();
  return found.filter(({ op, version }) => {
    if (op !== 't') return true;
    const isNew = !seen.has(version);
    seen.add(version);
    return isNew;
  });
}

test(
  `any history, cut, repeated and interrupted anywhere, comes out once, whole and in order (SEED=${seed})`,
  { timeout: 60_000 + 2000 * seconds },
  async () => {
    await check(
      asyncProperty(steps, delivery, async (history, how) => {
        using run = new CompactRun();
        const source = new TableHistory(schemas, [0, 1]);
        for (const step of history) source.step(step);
        const stream = repeated(source.records, how.repeats);
        run.log.append(input, stream);
        await deliver(run, stream.length, how);

        expect(withoutRepeatedTruncates(await run.decoded(changes))).toEqual(source.changes);
        const newest = new Map(
          (await run.decoded(latest)).map(({ key, version, row }) => [key, { version, row }]),
        );
        expect(newest).toEqual(source.latest);
      }),
      { seed, numRuns: 1_000_000, interruptAfterTimeLimit: seconds * 1000 },
    );
  },
);
