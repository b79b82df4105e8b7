import { assert as check, asyncProperty, integer, record, uint8Array } from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { PlainRecord } from '../../broker/records.ts';
import { MillraceError } from '../../errors.ts';
import { propertySeed } from '../../tests/property-seed.ts';
import {
  change,
  changes,
  CompactRun,
  input,
  insert,
  latest,
} from '../../tests/support/compact-run.ts';
import type { CompactProcessor } from './compact.ts';

let run: CompactRun;
beforeEach(() => {
  run = new CompactRun();
});
afterEach(() => run[Symbol.dispose]());

const partial = change({
  op: 'u',
  key: { id: 1 },
  version: 5n,
  row: { id: 1, note: 'n', body: null },
  unchanged: ['body'],
});
const valued = (value: Buffer): PlainRecord => ({ ...partial, value });
const bytes = partial.value ?? Buffer.alloc(0);
const { version: _, op: __, ...unversioned } = partial;
const unknownSchema = Buffer.concat([Buffer.of(0, 0, 0, 0x7f, 1), bytes.subarray(5)]);
const backwards = Buffer.concat([bytes.subarray(0, 9), Buffer.of(189), bytes.subarray(12)]);
const keySchema = Buffer.concat([(partial.key ?? bytes).subarray(0, 5), bytes.subarray(5)]);

function headed(name: string, text: string): PlainRecord {
  const rest = (partial.headers ?? []).filter((header) => header.name !== name);
  return { ...partial, headers: [...rest, { name, value: Buffer.from(text) }] };
}

test.each([
  ['no version', unversioned],
  ['a value in another format', valued(Buffer.from('{"id": 1}'))],
  ['an empty value', valued(Buffer.alloc(0))],
  ['a value that ends too early', valued(bytes.subarray(0, 12))],
  ['a length that leads back', valued(backwards)],
  ['a schema that is no envelope', valued(keySchema)],
  ['unchanged columns that are no JSON', headed('millrace.unchanged', 'body')],
  ['unchanged columns that the table does not have', headed('millrace.unchanged', '["x"]')],
])(
  'a record with %s is refused with its place, what came before it passes, and nothing after it',
  async (_, poison) => {
    const place = `${input.topic}, partition 0, offset 2`;
    const expected = { code: 'RECORD_MALFORMED', place };
    expect(await refusals(poison)).toMatchObject([expected, expected]);
    expect(run.log.records(changes).map(({ version }) => version)).toEqual([1n, 2n]);
    expect((await run.log.progress(input)).next).toBe(2);
  },
);

test('a record whose schema the registry does not have is refused with its place', async () => {
  const place = `${input.topic}, partition 0, offset 2`;
  const expected = { code: 'SCHEMA_UNKNOWN', place };
  expect(await refusals(valued(unknownSchema))).toMatchObject([expected, expected]);
});

/** What a stage says of a record among others, and what the one says that goes on after it. */
async function refusals(poison: PlainRecord): Promise<unknown[]> {
  run.log.append(input, [insert(1, 1n), insert(2, 2n), poison, insert(3, 3n)]);
  const said: unknown[] = [];
  for (const _ of [1, 2]) {
    await using processor = await run.open();
    const { next } = await run.log.progress(input);
    said.push(await giveFrom(processor, next).catch((error: unknown) => error));
  }
  return said;
}

async function giveFrom(processor: CompactProcessor, next: number): Promise<void> {
  for (let batches = [run.log.batch(input, next, 4)]; ; batches = []) {
    const { outgoing, consumed, more } = await processor.process(batches);
    run.log.publish(outgoing, consumed);
    if (!more) return;
  }
}

test('a record of ours that is none is refused with its place when a partition is opened', async () => {
  run.log.append(latest, [insert(1, 1n), { ...insert(2, 2n), key: null }]);
  await expect(run.open()).rejects.toMatchObject({
    code: 'RECORD_MALFORMED',
    place: `${latest.topic}, partition 0, offset 1`,
  });
});

test('whatever bytes a value has, the record passes or is refused with its place', async () => {
  const wrong = record({
    at: integer({ min: 0, max: bytes.length }),
    with: uint8Array({ maxLength: 12 }),
  });
  await check(
    asyncProperty(wrong, async ({ at, with: garbage }) => {
      using run = new CompactRun();
      await using processor = await run.open();
      const value = Buffer.concat([bytes.subarray(0, at), garbage, bytes.subarray(at + 3)]);
      const outcome = await run
        .give(processor, [insert(1, 1n), valued(value)])
        .catch((error) => error);
      if (outcome === undefined) return;
      expect(outcome).toBeInstanceOf(MillraceError);
      expect(outcome).toMatchObject({ place: `${input.topic}, partition 0, offset 1` });
    }),
    propertySeed(),
  );
});
