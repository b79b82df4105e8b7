import { ByteReader } from '../../schemas/byte-reader.ts';
import { WIRE_HEADER_BYTES } from '../../schemas/registry.ts';
import type { RecordCursor } from '../../broker/records.ts';
import {
  DELETE,
  exactTexts,
  moveTo,
  placeOf,
  TRUNCATE,
  UNCHANGED,
  unchangedColumns,
  type Source,
} from '../changes.ts';
import type { TopicSchemas } from '../topic-schemas.ts';
import { located, noImage, valueSchema } from './merge-stage.ts';
import type { Stage } from './stage.ts';
import type { FixedVector, SliceVector } from './vector.ts';
import { writeWords } from './words.ts';

export interface AppendInput {
  readonly sources: readonly Source[];
  /** Source and start of each record, in pairs. */
  readonly records: readonly number[];
  readonly schemas: TopicSchemas;
}

/** Writes every record into a stage. Returns the newest commit time among them, ms; 0 if there was none. */
export function stageRecords(stage: Stage, { sources, records, schemas }: AppendInput): number {
  const own = {
    op: stage.own('_op') as SliceVector,
    version: stage.own('_version') as FixedVector,
    at: stage.own('_source_ts') as FixedVector,
    id: stage.own('_event_id') as SliceVector,
    unchanged: stage.own('_unchanged') as SliceVector,
  };
  const reader = new ByteReader();
  let newest = 0;
  for (let index = 0; index < records.length; index += 2) {
    const source = sources[records[index] as number] as Source;
    const cursor = moveTo(source, records[index + 1] as number, schemas);
    const { op, versionHigh, versionLow } = cursor;
    const { row } = stage;
    try {
      const committedAt = readImage(stage, cursor, { reader, schemas });
      if (committedAt > newest) newest = committedAt;
      writeWords(committedAt * 1000, own.at.i32, row * 2);
    } catch (error) {
      throw located(error, placeOf(source, cursor));
    }
    own.op.values[row] = Buffer.from([op]);
    own.version.i32[row * 2] = versionLow;
    own.version.i32[row * 2 + 1] = versionHigh;
    own.id.values[row] = Buffer.from(
      `${source.topic}-${source.partition}-${source.base + cursor.delta}`,
    );
    own.unchanged.values[row] = cursor.header(UNCHANGED) ?? null;
    stage.endRow();
  }
  return newest;
}

/** Reads the image of a change into the stage's row and returns its commit time, ms. */
function readImage(
  stage: Stage,
  cursor: RecordCursor,
  { reader, schemas }: { reader: ByteReader; schemas: TopicSchemas },
): number {
  const id = valueSchema(cursor);
  const envelope = schemas.envelope(id);
  const { bytes, valueStart } = cursor;
  envelope.locate(bytes, valueStart + WIRE_HEADER_BYTES, valueStart + cursor.valueLength);
  const before = cursor.op === DELETE;
  const start = before ? envelope.beforeStart : envelope.afterStart;
  const plan = stage.rowPlan(schemas, id);
  const unsent = unchangedColumns(cursor);
  if (start < 0 || unsent.length > 0) {
    if (start < 0 && cursor.op !== TRUNCATE && !before) throw noImage();
    readSent(stage, cursor, { id, start, unsent, reader, schemas });
  } else {
    plan.read(reader.at(bytes, start), stage.row, before ? envelope.beforeEnd : envelope.afterEnd);
  }
  const exact = exactTexts(cursor, before ? 'before' : 'after');
  if (exact !== null) plan.writeExact(exact, stage.row);
  return envelope.committedAt;
}

/** The slow way, for images that are not whole: what is not there is NULL, and named in `_unchanged`. */
function readSent(
  stage: Stage,
  { bytes }: RecordCursor,
  by: {
    id: number;
    start: number;
    unsent: readonly string[];
    reader: ByteReader;
    schemas: TopicSchemas;
  },
): void {
  const plan = stage.rowPlan(by.schemas, by.id);
  const spans = new Int32Array(plan.reads.length + 1);
  if (by.start >= 0) by.schemas.envelope(by.id).spans(bytes, by.start, spans);
  for (const [column, read] of plan.reads.entries()) {
    const sent = by.start >= 0 && !by.unsent.includes(plan.names[column] as string);
    if (sent) read(by.reader.at(bytes, spans[column] as number), stage.row);
    else stage.vectors[plan.places[column] as number]?.setNull(stage.row);
  }
  plan.setRestNull(stage.row);
}
