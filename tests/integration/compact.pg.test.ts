import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TopicPartition } from '../../broker/broker.ts';
import type { PlainRecord } from '../../broker/records.ts';
import { silent } from '../../log.ts';
import { compactProcessor } from '../../processors/compact/compact.ts';
import { changesTopic, latestTopic } from '../../processors/compact/topics.ts';
import { record } from '../support/recorded-changes.ts';
import { decode, encoderContext, pushAll } from '../support/recorded-stream.ts';
import { startDatabase, type TestDatabase } from '../support/postgres.ts';
import { TopicLog } from '../support/topic-log.ts';

let server: TestDatabase;
const stateDirectory = mkdtempSync(join(tmpdir(), 'compact-'));

beforeAll(async () => {
  server = await startDatabase();
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(stateDirectory, { recursive: true });
});

const BIG = `repeat('abcdefgh', 1500)`;

/** Whole images of what Postgres sent, with a restart of the stage after each `size` records. */
async function compacted(
  statements: readonly string[],
  size: number,
): Promise<[unknown[], unknown[]]> {
  const { messages, tables } = await record(server.client, statements);
  const context = encoderContext();
  await pushAll(messages, { context, tables });
  const log = new TopicLog();
  log.publish(context.buffer.outgoing());
  const [raw] = context.buffer.outgoing();
  const input: TopicPartition = { topic: raw!.topic, partition: 0 };
  const { length } = log.records(input);
  for (let from = 0; from < length; from += size) {
    await using stage = compactProcessor(
      { stateDirectory },
      { registry: context.registry, log: silent },
    );
    await stage.open(input, log);
    const { outgoing } = await stage.process([
      log.batch(input, from, Math.min(from + size, length)),
    ]);
    log.publish(outgoing);
  }
  const seen = ({ value, op, headers }: PlainRecord): unknown => {
    const envelope = value === null ? null : decode(context.registry, value);
    const partial = headers?.some(({ name }) => name === 'millrace.unchanged') ?? false;
    return { op, partial, row: envelope?.['after'] ?? envelope?.['before'] ?? null };
  };
  const changes = { ...input, topic: changesTopic(input.topic) };
  const latest = { ...input, topic: latestTopic(input.topic) };
  const newest = new Map(log.records(latest).map((one) => [one.key?.toString('hex'), one]));
  return [log.records(changes).map(seen), [...newest.values()].map(seen)];
}

test.each([1, 2, 100])(
  'values out of line that Postgres did not send again are whole, %i records at a time',
  async (size) => {
    const big = 'abcdefgh'.repeat(1500);
    const [changes, latest] = await compacted(
      [
        `create table t(id int primary key, n int, big text); alter table t alter big set storage external`,
        `insert into t values (1, 1, ${BIG}), (2, 2, ${BIG})`,
        'update t set n = 3 where id = 1',
        'update t set id = 10 where id = 1',
        'update t set id = 11, n = 4 where id = 10',
        'delete from t where id = 11',
        'truncate t',
        `insert into t values (2, 5, 'small')`,
      ],
      size,
    );
    const row = (id: number, n: number): object => ({ partial: false, row: { id, n, big } });
    expect(changes).toEqual([
      { op: 'c', ...row(1, 1) },
      { op: 'c', ...row(2, 2) },
      { op: 'u', ...row(1, 3) },
      { op: 'd', ...row(1, 3) },
      { op: 'c', ...row(10, 3) },
      { op: 'd', ...row(10, 3) },
      { op: 'c', ...row(11, 4) },
      { op: 'd', ...row(11, 4) },
      { op: 't', partial: false, row: null },
      { op: 'c', partial: false, row: { id: 2, n: 5, big: 'small' } },
    ]);
    const tombstone = { op: 'd', partial: false, row: null };
    expect(latest).toHaveLength(4);
    expect(latest).toEqual(expect.arrayContaining([tombstone, changes.at(-1)]));
  },
);
