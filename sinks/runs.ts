import {
  offset,
  type Offset,
  type ReadBatch,
  type TopicName,
  type TopicPartition,
} from '../broker/broker.ts';
import { recordPlace } from '../broker/record-place.ts';
import { RecordCursor } from '../broker/records.ts';
import { MillraceError } from '../errors.ts';
import { MESSAGE, schemaIdOf, TRUNCATE, type Fresh, type Source } from './changes.ts';
import { isAbove, versionOf, type Version } from './version.ts';

/** Neighbouring records of a partition whose values have one schema. */
export interface Run extends TopicPartition {
  readonly sources: Source[];
  /** Null if no record has a value. */
  valueSchema: number | null;
  readonly keySchemas: Set<number>;
  /** There are records without a key that are not truncates. */
  keyless: boolean;
  /** Version of the first record. */
  readonly first: Version;
  /** Changes among its records: neither messages nor the null values after deletes. */
  changes: number;
  /** Of the first record. */
  readonly from: Offset;
  /** Where the partition is when the run is written. */
  to: Offset;
}

/** Cuts what is fresh of a batch where the schema of its values changes. There is at least one run. */
export function runsOf({ batch, from, to }: Fresh): Run[] {
  const runs: Run[] = [];
  let run: Run | undefined;
  for (const { base, bytes } of batch.segments) {
    const cursor = new RecordCursor(bytes);
    const at = { topic: batch.topic, partition: batch.partition, base };
    let start = -1;
    while (cursor.next()) {
      if (base + cursor.delta < from) continue;
      const id = cursor.valueLength < 0 ? null : schemaIdOf(cursor, 'value', at);
      if (
        run === undefined ||
        (id !== null && run.valueSchema !== null && id !== run.valueSchema)
      ) {
        if (run !== undefined) {
          run.to = (base + cursor.delta) as Offset;
          if (start >= 0) run.sources.push(sourceOf(at, bytes.subarray(start, cursor.start)));
        }
        start = cursor.start;
        run = startOf(batch, cursor, base);
        runs.push(run);
      } else if (start < 0) start = cursor.start;
      run.valueSchema ??= id;
      if (cursor.op !== MESSAGE && (cursor.op !== 0 || id !== null)) run.changes++;
      if (cursor.keyLength >= 0) run.keySchemas.add(schemaIdOf(cursor, 'key', at));
      else if (cursor.op !== TRUNCATE) run.keyless = true;
    }
    if (start >= 0) run?.sources.push(sourceOf(at, bytes.subarray(start)));
  }
  const last = runs.at(-1);
  if (last === undefined) return [startOf(batch, null, to)];
  last.to = to;
  return runs;
}

/** The offset after the last record. */
export function endOf({ segments }: Pick<ReadBatch, 'segments'>): Offset {
  const last = segments.at(-1);
  if (last === undefined) throw new TypeError('a batch without records');
  const cursor = new RecordCursor(last.bytes);
  let delta = 0;
  while (cursor.next()) delta = cursor.delta;
  return offset(last.base + delta + 1);
}

/**
 * An error about a record, whose place is not known better, with the records that it is among: the sink
 * itself sees some values only when many are written at once.
 */
export function placedIn(runs: readonly Run[], error: unknown): unknown {
  if (!(error instanceof MillraceError) || error.place !== undefined) return error;
  const { code, message, expected, remedy } = error;
  if (!['RECORD_MALFORMED', 'VALUE_UNSUPPORTED', 'SCHEMA_UNKNOWN'].includes(code)) return error;
  const places = runs.map(({ topic, partition, from, to }) =>
    recordPlace({ topic, partition }, from, to - 1),
  );
  return new MillraceError(code, message, {
    place: places.join('; '),
    remedy,
    cause: error,
    ...(expected === undefined ? {} : { expected }),
  });
}

/**
 * Puts runs into steps that are written one after another, each with one value schema per topic: what a
 * change of columns does to the rows before it must not happen to those after it. Between partitions
 * the versions decide which comes first; within one its order stays.
 */
export function stepsOf(queues: readonly (readonly Run[])[]): Run[][] {
  const steps: Run[][] = [];
  const reached = new Map<TopicName, { step: number; schema: number | null }>();
  for (const run of merged(queues)) {
    const at = reached.get(run.topic) ?? { step: 0, schema: null };
    reached.set(run.topic, at);
    if (run.valueSchema !== null) {
      if (at.schema !== null && at.schema !== run.valueSchema) at.step++;
      at.schema = run.valueSchema;
    }
    (steps[at.step] ??= []).push(run);
  }
  return steps;
}

function* merged(queues: readonly (readonly Run[])[]): Iterable<Run> {
  const heads = queues.map(() => 0);
  for (;;) {
    let lowest = -1;
    for (const [index, queue] of queues.entries()) {
      const run = queue[heads[index] as number];
      const best = lowest < 0 ? undefined : queues[lowest]?.[heads[lowest] as number];
      if (run === undefined) continue;
      if (best === undefined || isAbove(best.first.high, best.first.low, run.first)) lowest = index;
    }
    const run = queues[lowest]?.[heads[lowest] as number];
    if (run === undefined) return;
    heads[lowest] = (heads[lowest] as number) + 1;
    yield run;
  }
}

function startOf({ topic, partition }: TopicPartition, at: RecordCursor | null, base: Offset): Run {
  const first =
    at === null || !at.hasVersion
      ? versionOf(BigInt(base + (at?.delta ?? 0)))
      : { high: at.versionHigh, low: at.versionLow };
  const none = {
    sources: [],
    valueSchema: null,
    keySchemas: new Set<number>(),
    keyless: false,
    changes: 0,
  };
  const from = offset(base + (at?.delta ?? 0));
  return { topic, partition, first, from, to: base, ...none };
}

function sourceOf(at: Omit<Source, 'bytes' | 'cursor'>, bytes: Buffer): Source {
  return { ...at, bytes, cursor: new RecordCursor(bytes) };
}
