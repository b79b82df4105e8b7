import { shown, type GoldenLine, type GoldenRecord, type GoldenRow } from './golden-records.ts';

/** Told of every field that is not the same. */
export type Differs = (
  table: string,
  column: string,
  kind: 'schema' | 'value',
  how: string,
) => void;

/** Debezium has a topic per partition; ours are captured as their root. */
const TOPICS: Readonly<Record<string, readonly string[]>> = { part: ['part_eu', 'part_us'] };

export const topicsOf = (table: string): readonly string[] =>
  (TOPICS[table] ?? [table]).map((name) => `gold.public.${name}`);

/** In the order of the log; a tombstone follows its delete. */
function inOrder<T extends { readonly topic: string; readonly lsn: bigint }>(
  all: readonly T[],
): T[] {
  let last = 0n;
  return all
    .map((record) => ({ record, lsn: (last = record.lsn === 0n ? last : record.lsn) }))
    .toSorted((a, b) => (a.lsn < b.lsn ? -1 : Number(a.lsn > b.lsn)))
    .map(({ record }) => record);
}

/** Snapshot rows come in any order. */
export function part<T extends Pick<GoldenRecord, 'op' | 'key' | 'topic' | 'lsn'>>(
  records: readonly T[],
  topics: readonly string[],
  snapshot: boolean,
): T[] {
  const found = records.filter(
    // Debezium has tombstones without a key, too.
    ({ topic, op, key }) =>
      topics.includes(topic) && (op === 'r') === snapshot && (key !== null || op !== null),
  );
  return snapshot
    ? found.toSorted((a, b) => (keyText(a.key) < keyText(b.key) ? -1 : 1))
    : inOrder(found);
}

const keyText = (key: GoldenRow | null): string =>
  [...(key ?? [])].map(([, { text }]) => text).join();

export function compareRows(
  [table, differs]: readonly [string, Differs],
  mine: GoldenRow | null,
  theirs: GoldenRow | null,
): void {
  if ((mine === null) !== (theirs === null)) differs(table, 'row', 'value', 'one of them has none');
  for (const name of new Set([...(mine ?? []), ...(theirs ?? [])].map(([column]) => column))) {
    const [got, want] = [mine?.get(name), theirs?.get(name)];
    if (got?.text !== want?.text) differs(table, name, 'value', `${got?.text} for ${want?.text}`);
    const schemas = [got, want].map((field) => field && JSON.stringify(sorted(field.field)));
    if (schemas[0] !== schemas[1]) differs(table, name, 'schema', schemas.join(' for '));
  }
}

/** Records of JSON, whose numbers only a schema tells apart; the rows are left as they are. */
export interface JsonRecord {
  readonly topic: string;
  readonly op: string | null;
  readonly key: GoldenRow | null;
  readonly lsn: bigint;
  readonly line: GoldenLine;
}

export function jsonRecords(
  lines: readonly GoldenLine[],
  payload: (part: unknown) => unknown,
): JsonRecord[] {
  return lines.map((line) => {
    const value = payload(line.value) as Record<string, Record<string, unknown>> | null;
    const key = payload(line.key) as Record<string, unknown> | null;
    return {
      topic: line.topic,
      op: (value?.['op'] as unknown as string | undefined) ?? null,
      key: key === null ? null : asRow(key),
      lsn: BigInt((value?.['source']?.['lsn'] as { text: string } | undefined)?.text ?? 0),
      line: { ...line, key, value },
    };
  });
}

/** To sort by: keys of ours and theirs have the same text, but numbers of JSON are not typed. */
const asRow = (key: Record<string, unknown>): GoldenRow =>
  new Map(
    Object.entries(key).map(([column, value]) => {
      const text = shown('long', value);
      return [column, { column, schema: 'long', field: { name: column, type: 'long' }, text }];
    }),
  );

export function compareJson(
  [table, differs]: readonly [string, Differs],
  mine: GoldenRow | null,
  theirs: unknown,
): void {
  if ((mine === null) !== (theirs === null)) differs(table, 'row', 'value', 'one of them has none');
  const row = (theirs ?? {}) as Record<string, unknown>;
  const columns = new Map([...(mine ?? [])].map(([, field]) => [field.column, field]));
  for (const column of new Set([...columns.keys(), ...Object.keys(row)])) {
    const field = columns.get(column);
    const [got, want] = [
      field?.text,
      column in row ? shown(field?.schema ?? 'null', row[column]) : undefined,
    ];
    const name = field?.field.name ?? column;
    if (got !== want) differs(table, name, 'value', `${got} for ${want}`);
  }
}

export function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value)
    .filter(([name]) => name !== 'millrace.column')
    .map(([name, each]) => [name, sorted(each)] as const);
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
