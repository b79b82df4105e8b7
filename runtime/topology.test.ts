import { expect, test } from 'vitest';
import { type Config, parseConfig } from '../config.ts';
import { namedTables, topologyOf } from './topology.ts';

function configOf(tables: string, more = ''): Config {
  return parseConfig(
    `pipeline: shop
source: { kind: postgres, tables: [${tables}]${more} }
partitions: 2
topics: { rawRetention: 1d, tombstoneRetention: 3d }
sinks: [{ kind: duckdb, path: a }, { kind: duckdb, name: audit, path: b }]
`,
    { file: 'millrace.yaml', environment: {} },
  );
}

test('a pipeline is source, compact and one stage per sink, joined by three topics per table', () => {
  const config = configOf('public.orders');
  const { stages, topics } = topologyOf(config, namedTables(config) ?? []);
  expect(stages).toEqual([
    {
      name: 'source',
      kind: 'source',
      group: null,
      inputs: [],
      outputs: ['shop.public.orders', 'shop.message'],
    },
    {
      name: 'compact',
      kind: 'processor',
      group: 'shop.compact',
      inputs: ['shop.public.orders'],
      outputs: ['shop.public.orders.changes', 'shop.public.orders.latest'],
    },
    {
      name: 'sink:duckdb',
      kind: 'sink',
      group: 'shop.sink.duckdb',
      inputs: ['shop.public.orders.changes'],
      outputs: [],
    },
    {
      name: 'sink:audit',
      kind: 'sink',
      group: 'shop.sink.audit',
      inputs: ['shop.public.orders.changes'],
      outputs: [],
    },
  ]);
  expect(
    topics.map(({ topic, partitions, cleanup, retentionMs }) => [
      topic,
      partitions,
      cleanup,
      retentionMs,
    ]),
  ).toEqual([
    ['__millrace.positions', 1, 'compact', null],
    ['shop.message', 2, 'delete', 86_400_000],
    ['shop.public.orders', 2, 'delete', 86_400_000],
    ['shop.public.orders.changes', 2, 'delete', null],
    ['shop.public.orders.latest', 2, 'compact', null],
  ]);
  expect(topics.at(-1)?.tombstoneRetentionMs).toBe(3 * 86_400_000);
});

test('only the source knows the tables behind a pattern', () => {
  expect(namedTables(configOf('public.orders, public.log_*'))).toBeNull();
});

test.each([
  ['public.a b', 'public.a_b'],
  ['public.orders', 'public.orders.changes'],
])('%s and %s would share a topic, which is refused', (one, other) => {
  expect(() => topologyOf(configOf('public.x'), [one, other])).toThrow('would share a topic');
});

/** Topics beside those of tables: the source writes them and no stage reads them. */
function besides(more: string): unknown {
  const { stages, topics } = topologyOf(configOf('public.orders', more), ['public.orders']);
  const [source, ...readers] = stages;
  const found = topics.filter(({ topic }) => !/orders|positions/.test(topic));
  for (const { topic } of found) {
    expect(source?.outputs).toContain(topic);
    for (const { inputs } of readers) expect(inputs).not.toContain(topic);
  }
  return found.map(({ topic, partitions }) => [topic, partitions]);
}

test('topics that belong to no table are there if they are wanted, and read by no stage', () => {
  expect(besides('')).toEqual([['shop.message', 2]]);
  expect(besides(', messagePrefixExclude: ["*"]')).toEqual([]);
  expect(besides(', messagePrefixInclude: []')).toEqual([]);
  const all = 'provideTransactionMetadata: true, includeSchemaChanges: true';
  expect(besides(`, messagePrefixExclude: [x], ${all}`)).toEqual([
    ['shop.message', 2],
    ['shop.transaction', 1],
    ['shop', 1],
  ]);
});
