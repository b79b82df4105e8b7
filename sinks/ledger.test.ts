import { join } from 'node:path';
import { expect, test } from 'vitest';
import { offset, topicName } from '../broker/broker.ts';
import { temporaryFolder } from '../tests/temporary-folder.ts';
import { DuckdbSession } from './duckdb/session.ts';
import { Ledger } from './ledger.ts';

const changes = 0;
const partition = { topic: topicName('shop.orders'), partition: 0 };

test('a partition moves on from where the ledger has it, once, and only for its newest worker', async () => {
  await using session = await DuckdbSession.open(join(await temporaryFolder(), 'ledger.duckdb'), {
    memoryLimit: '64MB',
    threads: 1,
    checkpointThreshold: '16MB',
  });
  const ledger = new Ledger(session, 'offsets', 'shop');
  await ledger.create();
  const [first] = await ledger.takeOver([partition]);
  if (first === undefined) throw new Error('nothing was taken over');
  await ledger.advance([{ ...first, to: offset(10), changes }]);
  // The same step again, and one from an offset that was left behind, under the same epoch.
  const fenced = { code: 'SINK_FENCED' };
  await expect(ledger.advance([{ ...first, to: offset(10), changes }])).rejects.toMatchObject(
    fenced,
  );
  await expect(
    ledger.advance([{ ...first, next: offset(5), to: offset(20), changes }]),
  ).rejects.toMatchObject(fenced);
  const [second] = await ledger.takeOver([partition]);
  expect(second).toMatchObject({ next: 10, epoch: first.epoch + 1 });
  await expect(
    ledger.advance([{ ...first, next: offset(10), to: offset(20), changes }]),
  ).rejects.toMatchObject(fenced);
  expect(await ledger.takeOver([partition])).toMatchObject([{ next: 10 }]);
});
