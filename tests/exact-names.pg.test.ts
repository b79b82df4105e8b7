import { afterAll, beforeAll, expect, test } from 'vitest';
import { RecordCursor } from '../broker/records.ts';
import { exactTexts } from '../sinks/changes.ts';
import { startDatabase, type TestDatabase } from './support/postgres.ts';
import { record } from './support/recorded-changes.ts';
import { encoderContext, pushAll } from './support/recorded-stream.ts';

let server: TestDatabase;
beforeAll(async () => {
  server = await startDatabase();
});
afterAll(() => server[Symbol.asyncDispose]());

test('columns that V8 takes for one another as properties keep what their types cannot say', async () => {
  // V8 13.6, in Node 24, reads the second as {"a":0,"\\":0}: the backslash of an escape stands where
  // a name that it read before has one.
  JSON.parse(String.raw`{"a":0,"\\":0}`);
  JSON.parse(String.raw`{"a":0,"\"":0}`);

  const { messages, tables } = await record(server.client, [
    String.raw`create table t(id int primary key, a numeric, "\" numeric, """" numeric, __proto__ numeric)`,
    `insert into t values (1, 'NaN', 'NaN', 0, 0), (2, 'NaN', 0, 'NaN', 0), (3, 0, 0, 0, 'NaN')`,
  ]);
  const context = encoderContext({ names: 'avro_unicode' });
  await pushAll(messages, { context, tables });
  const found = context.buffer.outgoing().flatMap(({ records }) => {
    const cursor = new RecordCursor(records.written());
    const columns = [];
    while (cursor.next()) columns.push(exactTexts(cursor, 'after')?.map(([column]) => column));
    return columns;
  });
  expect(found).toEqual([['a', '\\'], ['a', '"'], ['__proto__']]);
});
