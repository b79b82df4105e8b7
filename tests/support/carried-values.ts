import { expect } from 'vitest';
import { RecordCursor } from '../../broker/records.ts';
import { postgresConnector } from '../../connectors/postgres/connector.ts';
import type { PostgresOptions } from '../../connectors/postgres/options.ts';
import { silent } from '../../log.ts';
import type { TestPostgres } from './postgres.ts';
import { decode, MemoryRegistry } from './recorded-stream.ts';

export interface Seen {
  readonly topic: string;
  readonly op: string;
  readonly key: unknown;
  readonly before: Record<string, unknown> | null;
  readonly after: Record<string, unknown> | null;
  readonly exact: unknown;
  readonly unchanged: unknown;
  /** The whole value; null for a tombstone. */
  readonly value: Record<string, unknown> | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** All records of the tables `t*` that rows before the snapshot and statements after it make. */
export async function captured(
  server: TestPostgres,
  before: string,
  after: string,
  options: Partial<PostgresOptions> = {},
): Promise<Seen[]> {
  await using database = await server.createDatabase();
  await database.query(`${before}; create table t_end (id int primary key)`);
  const registry = new MemoryRegistry();
  const connector = postgresConnector({
    pipeline: 'peers',
    url: database.url,
    tables: ['public.t*'],
    prefix: 'shop',
    partitions: 1,
    version: '0.0.0',
    registry,
    log: silent,
    statusIntervalMs: 50,
    ...options,
  });
  const seen: Seen[] = [];
  let changing: Promise<unknown> | null = null;
  for await (const batch of connector.changes(null, AbortSignal.timeout(20_000))) {
    let ended = false;
    for (const { topic, records } of batch.outgoing) {
      ended ||= topic.endsWith('t_end');
      const cursor = new RecordCursor(Buffer.from(records.written()));
      while (cursor.next())
        if (!topic.endsWith('t_end')) seen.push({ topic, ...recordAt(cursor, registry) });
    }
    await connector.ack(batch.position);
    if (changing === null && !batch.position.includes('snapshot')) {
      changing = database.query(`${after}; insert into t_end values (1)`);
    }
    if (ended) break;
  }
  await changing;
  return seen;
}

function recordAt(cursor: RecordCursor, registry: MemoryRegistry): Omit<Seen, 'topic'> {
  const { key, value, headers = [] } = cursor.plain();
  const header = (name: string): unknown => {
    const found = cursor.header(name);
    return found ? JSON.parse(String(found)) : null;
  };
  const envelope = value === null ? null : decode(registry, value);
  const image = (name: string): Seen['after'] =>
    envelope?.[name] == null ? null : { ...(envelope[name] as Record<string, unknown>) };
  return {
    op: envelope === null ? 'tombstone' : String(envelope['op']),
    key: key === null ? null : { ...decode(registry, key) },
    before: image('before'),
    after: image('after'),
    exact: header('millrace.exact'),
    unchanged: header('millrace.unchanged'),
    value: envelope,
    headers: Object.fromEntries(headers.map(({ name, value: text }) => [name, String(text)])),
  };
}

/** What a column of one type has for each value, from snapshot and stream, which must agree. */
export async function carried(
  server: TestPostgres,
  type: string,
  values: readonly string[],
  options: Partial<PostgresOptions> = {},
): Promise<[value: unknown, exact: unknown][]> {
  const rows = values.map((value, at) => `(${at}, '${value}')`).join(', ');
  const seen = await captured(
    server,
    `create table t (id int primary key, v ${type}); insert into t values ${rows}`,
    `delete from t where false; insert into t select id + 1000, v from t`,
    options,
  );
  const found = seen.map(({ after, exact }): [unknown, unknown] => [
    after?.['v'],
    (exact as { after?: [string, unknown][] } | null)?.after?.find(([name]) => name === 'v')?.[1] ??
      null,
  ]);
  const half = values.length;
  expect(found.slice(half), 'snapshot and stream agree').toEqual(found.slice(0, half));
  expect(found).toHaveLength(2 * half);
  return found.slice(0, half);
}
