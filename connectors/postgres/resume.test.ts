import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { record } from '../../tests/support/recorded-changes.ts';
import { decode, encoderContext, pushAll, recordsOf } from '../../tests/support/recorded-stream.ts';
import { startDatabase, type TestDatabase } from '../../tests/support/postgres.ts';
import { seed } from '../../tests/support/seed.ts';
import { openLogicalMessages } from './logical-messages.ts';
import type { StreamPosition } from './stream-encoder.ts';
import type { StreamMessage } from './stream-message.ts';
import { TransactionOrder } from './transaction-order.ts';
import { openTransactionTopic } from './transaction-topic.ts';

let server: TestDatabase;

beforeAll(async () => {
  server = await startDatabase();
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

test('a restart after any change publishes the rest: no change, message, begin or end lost or doubled, and the same ids and orders', async () => {
  const statement = fc.oneof(
    fc
      .integer({ min: 1, max: 4 })
      .map((n) => `insert into t(v) select 'n' || g from generate_series(1, ${n}) g`),
    fc.constant(`update t set v = v || 'x' where id % 3 = 0`),
    fc.constant(`update t set id = id + 1000000 where id = (select min(id) from t)`),
    fc.constant(`delete from t where id = (select max(id) from t)`),
    fc.constant(`insert into other values (1)`),
    fc.constant(`truncate t, other`),
    fc.constant(`select pg_logical_emit_message(true, 'p', 'x')`),
  );
  const transactions = fc.sample(fc.array(statement, { minLength: 1, maxLength: 4 }), {
    seed,
    numRuns: 12,
  });
  const { messages, tables } = await record(server.client, [
    `create table t(id serial primary key, v text); create table other(id int)`,
    `begin; insert into t(v) select 'first' from generate_series(1, 12); update t set v = 'second';
     update t set id = id + 100; commit`,
    ...transactions.flatMap((all) => [
      `begin; ${all.join('; ')}; commit`,
      `select pg_logical_emit_message(false, 'alone', 'x')`,
    ]),
  ]);
  const run = async (
    from: readonly StreamMessage[],
    resume: StreamPosition | null,
    stop = Infinity,
  ): Promise<{ records: string[]; position: StreamPosition | null }> => {
    const context = encoderContext({ partitions: 2 });
    const topics = {
      messages: await openLogicalMessages({ include: ['*'], exclude: [] }, context),
      order: new TransactionOrder(await openTransactionTopic(context)),
      schemas: null,
    };
    const encoder = await pushAll(from.slice(0, stop), { context, tables, resume, topics });
    // What stands in `sequence` of the commit before depends on where reading began; nothing else may.
    const records = recordsOf(context.buffer).map(
      ({ key, value, version, topic, partition, headers }) => {
        const envelope = value === null ? null : decode(context.registry, value);
        if (envelope !== null)
          delete (envelope['source'] as Record<string, unknown> | undefined)?.['sequence'];
        return JSON.stringify(
          [topic, partition, key?.toString('hex', 5), envelope, String(version), headers],
          (_, each) => (typeof each === 'bigint' ? String(each) : each),
        );
      },
    );
    return { records, position: encoder.place };
  };
  const whole = await run(messages, null);
  expect(whole.records.length).toBeGreaterThan(20);
  for (let cut = 1; cut <= messages.length; cut++) {
    const first = await run(messages, null, cut);
    const rest = await run(messages, first.position);
    expect(byTopic([...first.records, ...rest.records]), `seed ${seed}, cut ${cut}`).toEqual(
      byTopic(whole.records),
    );
  }
});

/** A buffer keeps the order within a topic, not between them. */
function byTopic(records: readonly string[]): Map<string, string[]> {
  return Map.groupBy(records, (each) => JSON.parse(each).slice(0, 2).join());
}
