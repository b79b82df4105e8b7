import type { Config } from '../config.ts';
import { span } from './figures.ts';
import type { Plan } from './pipeline-plan.ts';
import { table } from './table.ts';
import { type CliContext, shortPath } from './terminal.ts';
import { topicsPlace } from './topics-place.ts';

export function planLines(plan: Plan, config: Config, context: CliContext): string[] {
  const created = plan.topics.filter(({ state }) => state === 'to be created').length;
  return [
    `${plan.pipeline}  ${config.source.kind} → ${config.broker.kind} ${topicsPlace(config, context)} → ` +
      config.sinks.map(({ kind, path }) => `${kind} ${shortPath(path, context)}`).join(', '),
    '',
    ...stages(plan),
    '',
    ...tables(plan),
    ...pending(plan),
    ...notes(plan),
    '',
    ...topics(plan),
    '',
    created === 0
      ? 'All topics exist.'
      : `\`millrace run\` will create ${created} of ${plan.topics.length} topics.`,
  ];
}

function stages({ stages }: Plan): string[] {
  return table(
    [{ title: 'STAGE' }, { title: 'READS' }, { title: 'WRITES' }, { title: 'GROUP' }],
    stages.map(({ name, inputs, outputs, group }) => [
      name,
      topicsOr(inputs, 'the source'),
      topicsOr(outputs, 'the sink'),
      group ?? '-',
    ]),
  );
}

function topicsOr(names: readonly string[], outside: string): string {
  if (names.length === 0) return outside;
  return `${names.length} ${names.length === 1 ? 'topic' : 'topics'}`;
}

function tables({ tables }: Plan): string[] {
  return table(
    [
      { title: 'TABLE' },
      { title: 'KEY' },
      { title: 'COLUMNS', align: 'right' },
      { title: 'SINK' },
      { title: 'MODE' },
      { title: 'DELETE' },
      { title: 'TARGET' },
    ],
    tables.flatMap(({ table, key, columns, sinks }) =>
      sinks.map((sink) => [
        table,
        key.join(', ') || '-',
        String(columns),
        sink.sink,
        sink.mode,
        sink.delete ?? '-',
        sink.target,
      ]),
    ),
  );
}

/** What the next rows will change in the tables that a sink has. */
function pending({ tables }: Plan): string[] {
  const found = tables.flatMap(({ sinks }) =>
    sinks.flatMap(({ sink, target, pending }) => {
      if (pending === null) return [];
      const { changes, refused } = pending;
      const words =
        refused === null ? changes : [`refused with ${refused.code}: ${refused.message}`];
      return words.map((change) => `  ${sink} ${target}: ${change}`);
    }),
  );
  return found.length === 0 ? [] : ['', 'Changes of columns', ...found];
}

function notes({ tables }: Plan): string[] {
  const found = tables.flatMap(({ table, notes }) => notes.map((note) => `  ${table}: ${note}`));
  return found.length === 0 ? [] : ['', 'Notes', ...found];
}

function topics({ topics }: Plan): string[] {
  return table(
    [
      { title: 'TOPIC' },
      { title: 'PARTITIONS', align: 'right' },
      { title: 'KEEPS' },
      { title: 'STATE' },
    ],
    topics.map(({ topic, partitions, cleanup, retentionMs, tombstoneRetentionMs, state }) => [
      topic,
      String(partitions),
      cleanup === 'compact'
        ? `newest per key, deletes ${span(tombstoneRetentionMs)}`
        : retentionMs === null
          ? 'everything'
          : span(retentionMs),
      state,
    ]),
  );
}
