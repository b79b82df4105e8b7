import { type Offset, type ReadBatch, type TopicName } from '../broker/broker.ts';
import { recordPlace } from '../broker/record-place.ts';
import type { RecordCursor } from '../broker/records.ts';
import { MillraceError } from '../errors.ts';
import { WIRE_HEADER_BYTES } from '../schemas/registry.ts';
import type { Collapse } from './collapse.ts';
import type { Deletes, Mode } from './dialect.ts';
import type { TopicSchemas } from './topic-schemas.ts';
import { isAbove, VERSION_MIN, type Version } from './version.ts';

/** A segment of a batch, and a cursor over it that is moved to any of its records. */
export interface Source {
  readonly topic: TopicName;
  readonly partition: number;
  readonly base: Offset;
  readonly bytes: Buffer;
  readonly cursor: RecordCursor;
}

/** What of a batch the ledger does not have yet: everything from `from` on. */
export interface Fresh {
  readonly batch: ReadBatch;
  readonly from: Offset;
  /** Where the partition is when all of it is written. */
  readonly to: Offset;
}

/** The newest changes of the keys under one key schema. Rounds are applied one after another. */
export interface Round {
  readonly keySchema: number;
  readonly collapse: Collapse;
  deletes: boolean;
}

/** The changes of one table in one step of a write. */
export class TableChanges {
  readonly topic: TopicName;
  valueSchema: number | null = null;
  readonly keySchemas = new Set<number>();
  /** There are records without a key that are not truncates. */
  keyless = false;
  readonly rounds: Round[] = [];
  /** Every record that is a row of an append table: its source and where it starts there, in pairs. */
  readonly records: number[] = [];
  /** Version of the newest truncate. */
  truncated: Version | null = null;
  /** Newest version by partition. */
  readonly newest = new Map<number, Version>();
  /** Some version is not above all that the table has seen of its partition. */
  guarded = false;
  events = 0;

  constructor(topic: TopicName) {
    this.topic = topic;
  }

  newestOfAll(): Version {
    let newest = VERSION_MIN;
    for (const one of this.newest.values()) if (isAbove(one.high, one.low, newest)) newest = one;
    return newest;
  }
}

export const DELETE = 'd'.charCodeAt(0);
export const TRUNCATE = 't'.charCodeAt(0);
export const MESSAGE = 'm'.charCodeAt(0);

/** Header with the JSON array of the names of the columns that were not sent. */
export const UNCHANGED = 'millrace.unchanged';

/** Header with what a record's types cannot say: image or key, then column, then the source's own text. */
export const EXACT = 'millrace.exact';

/** Columns and the source's own text of their values. */
export type ExactTexts = readonly (readonly [column: string, text: string])[];

/** The id of the schema that a record's key or value was written with. Throws `RECORD_MALFORMED`. */
export function schemaIdOf(
  { bytes, keyStart, keyLength, valueStart, valueLength, delta }: RecordCursor,
  part: 'key' | 'value',
  { topic, partition, base }: Omit<Source, 'bytes' | 'cursor'>,
): number {
  const start = part === 'key' ? keyStart : valueStart;
  const length = part === 'key' ? keyLength : valueLength;
  if (length >= WIRE_HEADER_BYTES && bytes[start] === 0) return bytes.readUInt32BE(start + 1);
  throw new MillraceError('RECORD_MALFORMED', `a ${part} is not in the Confluent wire format`, {
    place: recordPlace({ topic, partition }, base + delta),
    expected: 'a zero byte and four bytes of schema id',
  });
}

export function placeOf(
  { topic, partition, base }: Omit<Source, 'bytes' | 'cursor'>,
  cursor: RecordCursor,
): string {
  return recordPlace({ topic, partition }, base + cursor.delta);
}

/**
 * Gives a record without our headers (Debezium's own) op and version: the op is in the envelope, and the
 * version is the offset, which orders the changes of a key because they share a partition. A null value
 * without an op is the tombstone after a delete, and stays without one.
 */
function complete({ cursor, base }: Source, schemas: TopicSchemas): void {
  if (cursor.op !== 0 && cursor.hasVersion) return;
  if (cursor.op === 0 && cursor.valueLength >= 0) {
    const { bytes, valueStart, valueLength } = cursor;
    const reader = schemas.envelope(bytes.readUInt32BE(valueStart + 1));
    reader.locate(bytes, valueStart + WIRE_HEADER_BYTES, valueStart + valueLength);
    cursor.op = reader.op;
  }
  if (!cursor.hasVersion) {
    const at = base + cursor.delta;
    cursor.versionHigh = Math.floor(at / 0x1_0000_0000);
    cursor.versionLow = at >>> 0;
  }
}

/** Moves the source's cursor to the record that starts there. */
export function moveTo(source: Source, start: number, schemas: TopicSchemas): RecordCursor {
  const { cursor } = source;
  cursor.end = start;
  cursor.next();
  complete(source, schemas);
  return cursor;
}

/** How a table takes its changes. */
export interface Manner {
  readonly mode: Mode;
  readonly deletes: Deletes;
  /** Version of the newest truncate that the table has had; null if there was none. */
  readonly truncated: Version | null;
  /** Newest version that the table may have of a partition. */
  high(partition: number): Version;
  collapse(): Collapse;
}

/** Sorts the records for a table: in mode merge the newest change per key, in mode append every record. */
export function gather(
  sources: readonly Source[],
  changes: TableChanges,
  { manner, schemas }: { manner: Manner; schemas: TopicSchemas },
): void {
  const gatherer = new Gatherer(changes, manner, schemas);
  for (const [index, source] of sources.entries()) gatherer.gather(source, index);
}

class Gatherer {
  readonly #changes: TableChanges;
  readonly #manner: Manner;
  readonly #schemas: TopicSchemas;

  constructor(changes: TableChanges, manner: Manner, schemas: TopicSchemas) {
    this.#changes = changes;
    this.#manner = manner;
    this.#schemas = schemas;
  }

  gather(source: Source, index: number): void {
    const { cursor } = source;
    cursor.end = 0;
    const changes = this.#changes;
    const append = this.#manner.mode === 'append';
    const high = this.#manner.high(source.partition);
    let newest = changes.newest.get(source.partition) ?? VERSION_MIN;
    while (cursor.next()) {
      complete(source, this.#schemas);
      if (cursor.op === MESSAGE || cursor.op === 0) continue;
      changes.events++;
      const { versionHigh, versionLow } = cursor;
      if (isAbove(versionHigh, versionLow, newest)) newest = { high: versionHigh, low: versionLow };
      if (!isAbove(versionHigh, versionLow, high)) changes.guarded = true;
      const again = cursor.op === TRUNCATE && !this.#truncate(cursor, append);
      if (append) {
        if (!again && cursor.valueLength >= 0) changes.records.push(index, cursor.start);
      } else if (cursor.op !== TRUNCATE) this.#offer(source, index);
    }
    changes.newest.set(source.partition, newest);
  }

  /**
   * Whether it is a truncate that has not come from another partition: each of them gets every truncate,
   * so one that is not above the newest is known. Without versions of ours that cannot be told.
   */
  #truncate({ versionHigh, versionLow, hasVersion }: RecordCursor, append: boolean): boolean {
    if (append && !hasVersion) return true;
    const newest = this.#changes.truncated ?? (append ? this.#manner.truncated : null);
    if (newest !== null && !isAbove(versionHigh, versionLow, newest)) return false;
    this.#changes.truncated = { high: versionHigh, low: versionLow };
    return true;
  }

  #offer(source: Source, index: number): void {
    const { cursor, bytes } = source;
    if (cursor.keyLength < 0) {
      throw new MillraceError('RECORD_MALFORMED', 'a change of a table with a key has none', {
        place: placeOf(source, cursor),
      });
    }
    const keySchema = bytes.readUInt32BE(cursor.keyStart + 1);
    let round = this.#changes.rounds.at(-1);
    if (round?.keySchema !== keySchema) {
      // Another key schema may write the same key in other bytes: what it has comes after.
      round = { keySchema, collapse: this.#manner.collapse(), deletes: false };
      if (this.#changes.rounds.push(round) > 1) this.#changes.guarded = true;
    }
    round.collapse.from(index, bytes);
    if (cursor.op === DELETE) round.deletes = true;
    round.collapse.offer(cursor, this.#isPartial(cursor));
  }

  #isPartial(cursor: RecordCursor): boolean {
    if (cursor.op === DELETE) {
      if (this.#manner.deletes === 'hard') return false;
      if (cursor.valueLength < 0) return true;
      // The first field is `before`: branch 0 of its union is null.
      if (cursor.bytes[cursor.valueStart + WIRE_HEADER_BYTES] === 0) return true;
    }
    return cursor.headerCount > 0 && cursor.header(UNCHANGED) !== undefined;
  }
}

/** The names in the header of columns that were not sent. */
export function unchangedColumns(cursor: RecordCursor): readonly string[] {
  const header = cursor.header(UNCHANGED);
  return header ? (JSON.parse(header.toString('utf8')) as string[]) : [];
}

/** The values of an image, or of the key, that its types could not say; null if they say all. */
export function exactTexts(
  cursor: RecordCursor,
  image: 'key' | 'before' | 'after',
): ExactTexts | null {
  if (cursor.headerCount === 0) return null;
  const header = cursor.header(EXACT);
  if (!header) return null;
  const texts = JSON.parse(header.toString('utf8')) as Partial<Record<typeof image, ExactTexts>>;
  return texts[image] ?? null;
}
