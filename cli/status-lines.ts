import type { Delivery } from '../runtime/deliveries.ts';
import type { StageStatus, Status } from '../runtime/status.ts';
import { bytes, count, seconds, span } from './figures.ts';
import { bar, finished, isFinished } from './progress.ts';
import { table } from './table.ts';
import { parkedLines } from './tables.ts';

/** A status with what became of each table. */
export type ShownStatus = Status & { readonly deliveries: readonly Delivery[] };

/** A status as people read it at a glance. */
export function statusLines(status: ShownStatus, now: number): string[] {
  return [
    heading(status, now),
    '',
    ...stages(status, now),
    ...lag(status),
    ...snapshot(status),
    ...copies(status),
    ...rebuilds(status),
    ...source(status),
    '',
    ...tables(status),
    ...parkedLines(status.parked, now),
  ];
}

function heading({ pipeline, running, pid, startedAt }: Status, now: number): string {
  if (!running) return `${pipeline}  stopped; this is what its topics and sinks hold`;
  return `${pipeline}  running for ${span(now - (startedAt ?? now))}, pid ${pid}`;
}

function stages(status: Status, now: number): string[] {
  const rows = status.stages.map((stage) => [
    stage.stage,
    stage.state,
    status.running ? `${count(stage.changesPerSecond)}/s` : '-',
    stage.behindRecords === null ? '-' : count(stage.behindRecords),
    status.running ? count(stage.errors) : '-',
    stage.position ?? lastError(stage, now),
  ]);
  return table(
    [
      { title: 'STAGE' },
      { title: 'STATE' },
      { title: 'RATE', align: 'right' },
      { title: 'BEHIND', align: 'right' },
      { title: 'ERRORS', align: 'right' },
      { title: 'POSITION, LAST ERROR' },
    ],
    rows,
  ).concat(
    status.stages.flatMap((stage) =>
      stage.position !== null && stage.lastError !== null
        ? [`  ${stage.stage}: ${lastError(stage, now)}`]
        : [],
    ),
  );
}

function snapshot({ snapshot }: Status): string[] {
  if (snapshot === null) return [];
  return ['', isFinished(snapshot) ? finished(snapshot) : bar(snapshot, 100)];
}

function copies({ copies }: Status): string[] {
  if (copies.length === 0) return [];
  return [
    '',
    ...table(
      [
        { title: 'COPY OF' },
        { title: 'STATE' },
        { title: 'ROWS', align: 'right' },
        { title: 'OF ABOUT', align: 'right' },
        { title: 'WHERE, FAILURE' },
      ],
      copies.map(({ table, state, rows, rowsEstimated, where, failure }) => [
        table,
        state,
        count(rows),
        count(rowsEstimated),
        failure ?? where ?? '',
      ]),
    ),
  ];
}

function rebuilds({ rebuilds }: Status): string[] {
  return rebuilds.flatMap(({ sink, table, from, records, recordsExpected }) => [
    '',
    `${table} is made again in ${sink} from .${from}: ${count(records)} of about ${count(recordsExpected)} records`,
  ]);
}

function source({ source }: Status): string[] {
  if (source === null) return [];
  const { retainedBytes, safeBytes, state, atRisk } = source;
  const left = safeBytes === null ? '' : `, ${bytes(Math.max(0, safeBytes))} more are safe`;
  const risk = atRisk ? '  AT RISK' : '';
  return ['', `source keeps ${bytes(retainedBytes)} for this pipeline${left} (${state})${risk}`];
}

function lastError({ lastError }: StageStatus, now: number): string {
  if (lastError === null) return '';
  const [first] = lastError.message.split('\n');
  return `${lastError.code} ${span(now - lastError.at)} ago: ${first}`;
}

function lag({ lag }: Status): string[] {
  if (lag.length === 0) return [];
  return [
    '',
    ...table(
      [
        { title: 'LAG TO' },
        { title: 'COMMIT→READ', align: 'right' },
        { title: 'READ→RAW', align: 'right' },
        { title: 'RAW→CHANGES', align: 'right' },
        { title: 'CHANGES→APPLIED', align: 'right' },
        { title: 'TOTAL', align: 'right' },
      ],
      lag.map(({ sink, read, raw, changes, applied, total }) => [
        sink,
        ...[read, raw, changes, applied, total].map(seconds),
      ]),
    ),
  ];
}

function tables({ tables, deliveries, lag }: ShownStatus): string[] {
  const several = new Set([...deliveries, ...lag].map(({ sink }) => sink)).size > 1;
  const rows = deliveries.map(({ table, sink, rows, changes, behindRecords, behindSeconds }) => {
    const topics = tables.find((found) => found.table === table)?.topics ?? [];
    return [
      table,
      ...(several ? [sink] : []),
      known(rows),
      known(changes),
      count(behindRecords),
      behindSeconds === null ? '?' : span(behindSeconds * 1000),
      bytes(topics.reduce((sum, topic) => sum + topic.bytes, 0)),
    ];
  });
  return table(
    [
      { title: 'TABLE' },
      ...(several ? [{ title: 'SINK' }] : []),
      { title: 'ROWS', align: 'right' },
      { title: 'CHANGES', align: 'right' },
      { title: 'BEHIND', align: 'right' },
      { title: 'LAG', align: 'right' },
      { title: 'ON TOPICS', align: 'right' },
    ],
    rows,
  );
}

function known(value: number | null): string {
  return value === null ? '-' : count(value);
}
