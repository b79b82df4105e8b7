import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AvroSchema } from '../../schemas/avro.ts';
import { essence, type CapturedChange } from '../../tests/support/capture.ts';
import {
  hurried,
  insert,
  registry,
  snapshotTaken,
  streaming,
  unacknowledged,
  withItems,
} from '../../tests/support/postgres-items.ts';
import {
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../tests/support/postgres.ts';
import type { PostgresOptions } from './options.ts';

const golden = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../tests/golden/postgres/avro-schemas.json'), 'utf8'),
) as { subjects: Record<string, number[]>; schemas: Record<string, AvroSchema> };

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

const soon = { timeout: 20_000 };
const isMessage = ({ topic }: CapturedChange): boolean => topic === 'test.message';

async function emit(
  database: TestDatabase,
  transactional: boolean,
  prefix: string,
  content: string | Buffer = 'x',
): Promise<void> {
  const type = typeof content === 'string' ? 'text' : 'bytea';
  await database.query(`SELECT pg_logical_emit_message($1, $2, $3::${type})`, [
    transactional,
    prefix,
    content,
  ]);
}

/** What comes of some statements, up to a row that is inserted after them. */
async function streamed(
  database: TestDatabase,
  options: PostgresOptions,
  work: () => Promise<void>,
): Promise<CapturedChange[]> {
  const capture = await snapshotTaken(options);
  const before = capture.changes.length;
  await using _ = streaming(options, capture);
  await work();
  await insert(database, 1000, 1000);
  await expect.poll(() => capture.changes.at(-1)?.key, soon).toBe('{"id":1000}');
  return capture.changes.slice(before);
}

describe('logical messages', () => {
  test('are on `<prefix>.message` as Debezium writes them, of a transaction or of none', async () => {
    await using database = await withItems(server, 1);
    const found = await streamed(database, hurried(database), async () => {
      await database.query(
        `BEGIN; SELECT pg_logical_emit_message(true, 'app', 'transactional msg');
         INSERT INTO items VALUES (2, 'two'); COMMIT`,
      );
      await emit(database, false, 'app', Buffer.of(0, 255));
    });
    const [inside, alone] = found.filter(isMessage);
    const row = found.find(({ key }) => key === '{"id":2}')!;
    const source = row.value['source'] as Record<string, unknown>;
    expect(inside).toMatchObject({ op: 'm', key: '{"prefix":"app"}' });
    expect(inside!.value).toEqual({
      op: 'm',
      ts_ms: expect.any(BigInt) as bigint,
      source: {
        ...source,
        schema: '',
        table: '',
        lsn: inside!.version,
        sequence: expect.stringContaining(`"${inside!.version}"]`) as string,
      },
      transaction: null,
      message: { prefix: 'app', content: Buffer.from('transactional msg') },
    });
    // The server gives the LSN after a message.
    expect(inside!.version).toBeLessThanOrEqual(row.version);
    expect(alone!.value).toMatchObject({
      source: { txId: null, lsn: alone!.version, schema: '', table: '', snapshot: 'false' },
      message: { prefix: 'app', content: Buffer.of(0, 255) },
    });
    expect(alone!.version).toBeGreaterThan(row.version);
    const readAt = Number((alone!.value['source'] as { ts_ms: bigint }).ts_ms);
    expect(Math.abs(Date.now() - readAt)).toBeLessThan(600_000);
  });

  test('have the schemas that Debezium registers', async () => {
    await using database = await withItems(server, 1);
    await snapshotTaken(hurried(database));
    await streamed(database, hurried(database), () => emit(database, false, 'app'));
    for (const part of ['key', 'value']) {
      const ours = registry.subjects.get(`test.message-${part}`)![0]!;
      const theirs = golden.subjects[`gold.message-${part}`]![0]!;
      expect(registry.schemas[ours - 1]).toEqual(golden.schemas[theirs]);
    }
  });

  test('are captured by their prefix; heartbeats never are', async () => {
    await using database = await withItems(server, 1);
    const options = hurried(database, {
      messagePrefixInclude: ['out*', 'millrace*', 'a.b'],
      messagePrefixExclude: ['*.private'],
      heartbeatIntervalMs: 10,
    });
    const found = await streamed(database, options, async () => {
      const prefixes = [
        'outbox',
        'other',
        'out.private',
        'millrace',
        'a.b',
        'axb',
        'millrace_own',
        '',
      ];
      for (const prefix of prefixes) {
        await emit(database, true, prefix);
        await emit(database, false, prefix);
      }
    });
    const seen = found.filter(isMessage).map(({ key }) => JSON.parse(key!).prefix);
    expect(seen).toEqual(['outbox', 'outbox', 'a.b', 'a.b', 'millrace_own', 'millrace_own']);
  });

  test('without a prefix or content, and of none where none are wanted', async () => {
    await using database = await withItems(server, 1);
    const work = async (): Promise<void> => {
      await emit(database, false, '', '');
    };
    const [empty] = (await streamed(database, hurried(database), work)).filter(isMessage);
    expect(empty!.value['message']).toEqual({ prefix: '', content: Buffer.alloc(0) });
    await database.query('DELETE FROM items WHERE id = 1000');
    const none = hurried(database, { messagePrefixExclude: ['*'] });
    expect((await streamed(database, none, work)).filter(isMessage)).toEqual([]);
  });

  test.each([
    ['base64', '+/8='],
    ['base64-url-safe', '-_8='],
    ['hex', 'fbff'],
  ] as const)('have their content as %s if bytes travel so', async (binaryHandling, text) => {
    await using database = await withItems(server, 1);
    const found = await streamed(database, hurried(database, { binaryHandling }), () =>
      emit(database, true, 'app', Buffer.of(0xfb, 0xff)),
    );
    expect(found.find(isMessage)!.value['message']).toEqual({ prefix: 'app', content: text });
  });

  test('come once each, whatever position a restart begins at', async () => {
    await using database = await withItems(server, 1);
    const options = hurried(database, { heartbeatIntervalMs: 0 });
    const { last } = await snapshotTaken(options);
    const whole = await unacknowledged(options, last, async (came) => {
      // A commit right behind a message, and messages before, in and after transactions.
      const other = new Client({ connectionString: database.url });
      await other.connect();
      for (let n = 0; n < 4; n++) {
        await other.query(`BEGIN; INSERT INTO items VALUES (${n + 10}, 'x')`);
        await other.query(`SELECT pg_logical_emit_message(true, 'inside ${n}', 'x')`);
        await emit(database, false, `alone ${n}`);
        await came(n * 4 + 1);
        await other.query('COMMIT');
        await came(n * 4 + 3);
        await emit(database, false, `after ${n}`);
        await came(n * 4 + 4);
      }
      await other.end();
    });
    expect(whole.map(({ key }) => String(key)).sort()).toEqual(
      [0, 1, 2, 3]
        .flatMap((n) => [
          `{"prefix":"alone ${n}"}`,
          `{"id":${n + 10}}`,
          `{"prefix":"inside ${n}"}`,
          `{"prefix":"after ${n}"}`,
        ])
        .sort(),
    );
    for (const cut of new Set(whole.map(({ position }) => position))) {
      const left = whole.filter(({ position }) => position > cut);
      const rest = await unacknowledged(options, cut, (came) => came(left.length));
      expect(rest.map(essence).sort(), `from ${cut}`).toEqual(left.map(essence).sort());
    }
  });
});
