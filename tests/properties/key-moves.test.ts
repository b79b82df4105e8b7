import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  array,
  asyncProperty,
  assert as check,
  boolean,
  constantFrom,
  integer,
  oneof,
  record,
  type Arbitrary,
} from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { offset, type Broker, type TopicName } from '../../broker/broker.ts';
import { openEmbedded } from '../../broker/embedded/embedded.ts';
import { RecordCursor } from '../../broker/records.ts';
import { silent } from '../../log.ts';
import { changesTopic, latestTopic } from '../../processors/compact/topics.ts';
import { ChangeDecoder } from '../support/change-records.ts';
import { compactedByMembers } from '../support/compact-members.ts';
import {
  digestOf,
  moveRows,
  type MovedRows,
  type MovingStep,
  type RowState,
} from '../support/moving-rows.ts';
import { startDatabase, type TestDatabase } from '../support/postgres.ts';

const seed = process.env['SEED'] === undefined ? Date.now() | 0 : Number(process.env['SEED']);
const seconds = Number(process.env['PROPERTY_SECONDS'] ?? 15);

let server: TestDatabase;
beforeAll(async () => {
  server = await startDatabase();
});
afterAll(() => server[Symbol.asyncDispose]());

const id = integer({ min: 1, max: 9 });
const step: Arbitrary<MovingStep> = oneof(
  { weight: 4, arbitrary: record({ do: constantFrom('put' as const), id, long: boolean() }) },
  { weight: 3, arbitrary: record({ do: constantFrom('touch' as const), id }) },
  { weight: 2, arbitrary: record({ do: constantFrom('delete' as const), id }) },
  {
    weight: 6,
    arbitrary: record({
      do: constantFrom(
        'move' as const,
        'move' as const,
        'swap' as const,
        'there and back' as const,
      ),
      id,
      to: id,
    }),
  },
  { weight: 3, arbitrary: record({ do: constantFrom('chain' as const), id, to: id, last: id }) },
  { weight: 1, arbitrary: record({ do: constantFrom('truncate' as const) }) },
);
const beginning: readonly MovingStep[] = [1, 2, 3, 4, 5].map((id) => ({
  do: 'put',
  id,
  long: true,
}));

const running = record({
  partitions: integer({ min: 1, max: 6 }),
  cuts: array(integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 4 }),
  members: integer({ min: 1, max: 3 }),
  // Less than a record: then partitions come along one record at a time, in turn.
  bytesMax: array(constantFrom(1, 6_000, 3_000_000), { minLength: 1, maxLength: 3 }),
  crashes: array(integer({ min: 0, max: 12 }), { maxLength: 8 }),
  outgoingBytesMax: constantFrom(1, 5_000, 1_000_000),
});

test(
  `rows that change their key keep the values that Postgres does not send, in every state that they had, over any partitions, members and crashes (SEED=${seed} PROPERTY_SECONDS=${seconds})`,
  async () => {
    const transactions = array(array(step, { minLength: 1, maxLength: 4 }), {
      minLength: 1,
      maxLength: 20,
      size: 'max',
    });
    await check(
      asyncProperty(transactions, running, async (steps, { partitions, cuts, ...plan }) => {
        const moved = await moveRows(server.client, [beginning, ...steps], { partitions, cuts });
        const folder = mkdtempSync(join(tmpdir(), 'millrace-moves-'));
        try {
          await using opened = await openEmbedded({ path: folder, fsync: false }, silent);
          const { broker } = opened;
          await createTopics(broker, moved.raw, partitions);
          for (const outgoing of moved.publishes) await broker.publish(outgoing);
          const { registry } = moved;
          const options = { stateDirectory: folder, outgoingBytesMax: plan.outgoingBytesMax };
          await compactedByMembers({ broker, registry }, moved.raw, { ...plan, options });
          const { history, rows } = await outputOf(broker, moved);
          expect(history).toEqual(moved.history);
          expect(rows).toEqual(moved.rows);
        } finally {
          rmSync(folder, { recursive: true });
        }
      }),
      {
        seed,
        numRuns: 1_000_000,
        interruptAfterTimeLimit: seconds * 1000,
        markInterruptAsFailure: false,
        timeout: 90_000,
        endOnFailure: process.env['SHRINK'] === undefined,
      },
    );
  },
  (seconds + 120) * 1000,
);

async function createTopics(broker: Broker, raw: TopicName, partitions: number): Promise<void> {
  const kept = { retentionMs: null, retentionBytes: null, tombstoneRetentionMs: 1e9, partitions };
  await broker.createTopics([
    { ...kept, topic: raw, cleanup: 'delete' },
    { ...kept, topic: changesTopic(raw), cleanup: 'delete' },
    { ...kept, topic: latestTopic(raw), cleanup: 'compact' },
  ]);
}

/** What the output topics say, in the words of the trigger. */
async function outputOf(
  broker: Broker,
  { raw, registry }: MovedRows,
): Promise<{ history: Map<number, RowState[]>; rows: Map<number, unknown> }> {
  const decoder = new ChangeDecoder(registry);
  const history = new Map<number, RowState[]>();
  for (const { op, row } of await decoded(broker, changesTopic(raw), decoder)) {
    if (op === 't') continue;
    const { id, ...rest } = stateOf(row);
    history.set(id, [...(history.get(id) ?? []), { op, ...rest }]);
  }
  const newest = new Map<string | null, ReturnType<typeof stateOf> | null>();
  for (const { key, row } of await decoded(broker, latestTopic(raw), decoder)) {
    newest.set(key, row === null ? null : stateOf(row));
  }
  const live = [...newest.values()].filter((state) => state !== null);
  return { history, rows: new Map(live.map(({ id, ...rest }) => [id, rest])) };
}

function stateOf(row: unknown): { id: number; n: number; digest: string | null } {
  const { id, n, big } = row as { id: number; n: number; big?: string | null };
  return { id, n, digest: digestOf(big) };
}

async function decoded(broker: Broker, topic: TopicName, decoder: ChangeDecoder) {
  const found: Awaited<ReturnType<ChangeDecoder['decode']>>[] = [];
  const { signal } = new AbortController();
  const { topics } = await broker.describe();
  const { partitions = 0 } = topics.find((one) => one.topic === topic) ?? {};
  for (let partition = 0; partition < partitions; partition++) {
    for await (const { segments } of broker.read({ topic, partition, next: offset(0) }, signal)) {
      for (const { bytes } of segments) {
        const cursor = new RecordCursor(bytes);
        while (cursor.next()) found.push(await decoder.decode(cursor));
      }
    }
  }
  return found;
}
