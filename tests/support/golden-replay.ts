import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RecordCursor } from '../../broker/records.ts';
import type { Position } from '../../connectors/connector.ts';
import { postgresConnector } from '../../connectors/postgres/connector.ts';
import type { PostgresOptions } from '../../connectors/postgres/options.ts';
import { silent } from '../../log.ts';
import { golden, rowsOf, type GoldenRecord } from './golden-records.ts';
import type { TestDatabase } from './postgres.ts';
import { decode, MemoryRegistry } from './recorded-stream.ts';

const script = (name: string): string => {
  const text = readFileSync(join(golden, name), 'utf8');
  return text.replaceAll(/^\\ir (.*)$/gm, (_, included: string) => script(included));
};

/** The SQL that the records were made of: what was there before the snapshot. */
export const beforeSnapshot = (): string => script('1-before.sql');

/** What came after it: one by one, each its own transaction unless BEGIN says otherwise. */
export function afterSnapshot(): string[] {
  return script('2-stream.sql')
    .replaceAll(/^--.*$/gm, '')
    .split(/;(?=(?:[^']*'[^']*')*[^']*$)/)
    .filter((statement) => statement.trim() !== '');
}

/** Runs them, each change of the table `evolve` read before the next: the catalogue is not ahead of it. */
export async function runPaced(
  database: TestDatabase,
  until: (isMet: (records: readonly GoldenRecord[]) => boolean) => Promise<void>,
): Promise<void> {
  let changes = 0;
  let inTransaction = false;
  for (const statement of afterSnapshot()) {
    await database.query(statement);
    if (/(INTO|UPDATE) evolve\b/.test(statement)) changes++;
    if (/^\s*BEGIN/.test(statement)) inTransaction = true;
    if (/^\s*(COMMIT|ROLLBACK)\s*$/.test(statement)) inTransaction = false;
    if (inTransaction) continue;
    await until((records) => {
      const evolved = records.filter(
        ({ topic, op }) => topic === 'gold.public.evolve' && op !== 'r',
      );
      return evolved.length >= changes;
    });
  }
}

export interface Replay {
  readonly tables: readonly string[];
  readonly options?: Partial<PostgresOptions>;
  /** Where an earlier replay of the same database ended. */
  readonly after?: Position;
  /** What is done once the snapshot is read. */
  readonly change: (until: Until) => Promise<void>;
  /** True of the last record that is waited for. */
  readonly ends: (record: GoldenRecord) => boolean;
}

/** Resolves once the records so far meet a condition. */
type Until = Parameters<typeof runPaced>[1];

/** What our connector makes of tables, snapshot and stream, and the position where it ended. */
export async function replayed(
  database: TestDatabase,
  { tables, options, after, change, ends }: Replay,
): Promise<{ records: GoldenRecord[]; position: Position }> {
  const registry = new MemoryRegistry();
  await using connector = postgresConnector({
    pipeline: 'gold',
    url: database.url,
    tables: tables.map((table) => `public.${table}`),
    prefix: 'gold',
    partitions: 1,
    version: '0.0.0',
    registry,
    log: silent,
    statusIntervalMs: 50,
    ...options,
  });
  const records: GoldenRecord[] = [];
  let changed: Promise<void> | null = null;
  const waiting: (() => void)[] = [];
  const until: Until = async (isMet) => {
    while (!isMet(records)) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  let position = after;
  for await (const batch of connector.changes(after ?? null, AbortSignal.timeout(60_000))) {
    for (const { topic, records: written } of batch.outgoing) {
      const cursor = new RecordCursor(Buffer.from(written.written()));
      while (cursor.next()) records.push(recordAt(topic, cursor, registry));
    }
    for (const wake of waiting.splice(0)) wake();
    position = batch.position;
    await connector.ack(position);
    // The snapshot's locks are let go when the next batch is asked for, so this cannot be awaited.
    if (changed === null && !position.includes('snapshot')) changed = change(until);
    if (records.some(ends)) break;
  }
  await changed;
  if (position === undefined) throw new Error('the connector gave nothing');
  return { records, position };
}

function recordAt(topic: string, cursor: RecordCursor, registry: MemoryRegistry): GoldenRecord {
  const { key, value, headers } = cursor.plain();
  const part = (bytes: Buffer | null): Parameters<typeof rowsOf>[1] =>
    bytes === null
      ? null
      : {
          schema: registry.schemas[bytes.readUInt32BE(1) - 1]!,
          value: decode(registry, bytes),
        };
  return {
    ...rowsOf(topic, part(key), part(value)),
    headers: Object.fromEntries(
      (headers ?? []).map(({ name, value: text }) => [name, String(text)]),
    ),
  };
}
