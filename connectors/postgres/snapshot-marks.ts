import { topicName, type TopicName } from '../../broker/broker.ts';
import type { OutgoingBuffer } from '../../broker/outgoing-buffer.ts';
import { RecordCursor, type RecordWriter } from '../../broker/records.ts';
import { replaceInValue } from '../../broker/replace-in-value.ts';
import { ByteReader } from '../../schemas/byte-reader.ts';
import { EnvelopeReader } from '../../schemas/envelope-reader.ts';
import { WIRE_HEADER_BYTES, type SchemaRegistry } from '../../schemas/registry.ts';
import type { CataloguedTable } from './catalogue.ts';
import type { Connection } from './connection.ts';
import type { SnapshotUnit } from './snapshot-ranges.ts';

/** `source.snapshot` of the rows at the ends of a snapshot and of its tables; the others have `true`. */
type Mark = 'first' | 'first_in_data_collection' | 'last_in_data_collection' | 'last';

/** A row in the buffer. */
interface Place {
  readonly records: RecordWriter;
  readonly start: number;
}

/** The rows of one table in the buffer. */
interface Ends {
  readonly topic: TopicName;
  readonly first: Place;
  readonly last: Place;
  /** No more come after them. */
  readonly finished: boolean;
}

type IsFinished = (table: CataloguedTable) => boolean;

const READ = 0x72;

/**
 * Marks the first and last rows of a snapshot and of its tables, as Debezium does, in the batches that are
 * to be published: which row is the last is known only when its table is finished. First and last are
 * meant in the order of publishing, whatever the order of reading was, so `last` says that all rows are
 * published.
 */
export class SnapshotMarks {
  readonly #registry: SchemaRegistry;
  readonly #tables: ReadonlyMap<TopicName, CataloguedTable>;
  readonly #begun: Set<TopicName>;
  readonly #ended = new Set<TopicName>();
  readonly #readers = new Map<number, EnvelopeReader>();

  /** `tables`: those that have rows; `begun`: those of which an earlier run has published some. */
  constructor(
    registry: SchemaRegistry,
    prefix: string,
    about: {
      readonly tables: readonly CataloguedTable[];
      readonly begun: readonly CataloguedTable[];
    },
  ) {
    const topicOf = ({ table }: CataloguedTable): TopicName =>
      topicName(prefix, table.schema, table.name);
    this.#registry = registry;
    this.#tables = new Map(about.tables.map((of) => [topicOf(of), of]));
    this.#begun = new Set(about.begun.map(topicOf));
  }

  /**
   * Marks what the batch in the buffer begins and ends. `isFinished` says whether all of a table is
   * published with this batch.
   */
  async mark(buffer: OutgoingBuffer, isFinished: IsFinished): Promise<void> {
    const ends = this.#endsIn(buffer, isFinished);
    const final = this.#isComplete(ends, isFinished) ? ends.at(-1) : undefined;
    for (const end of ends) {
      const { topic, first, last, finished } = end;
      const begins = !this.#begun.has(topic);
      const begin = this.#begun.size === 0 ? 'first' : 'first_in_data_collection';
      this.#begun.add(topic);
      if (finished) this.#ended.add(topic);
      const isOne = finished && first.records === last.records && first.start === last.start;
      // The last comes first: its place would move. Of one row the mark of the whole snapshot says more.
      if (end === final) await this.#write(last, 'last');
      else if (isOne && begins && begin === 'first') await this.#write(last, begin);
      else if (finished) await this.#write(last, 'last_in_data_collection');
      if (begins && !isOne) await this.#write(first, begin);
    }
  }

  /** Of tables whose first or last row is in the buffer, those that are there. */
  #endsIn(buffer: OutgoingBuffer, isFinished: IsFinished): Ends[] {
    const outgoing = Map.groupBy(buffer.outgoing(), ({ topic }) => topic);
    return [...outgoing].flatMap(([topic, writers]) => {
      const table = this.#tables.get(topic);
      if (table === undefined || this.#ended.has(topic)) return [];
      const finished = isFinished(table);
      if (!finished && this.#begun.has(topic)) return [];
      const ends = endsOf(writers.map(({ records }) => records));
      return ends === null ? [] : [{ topic, finished, ...ends }];
    });
  }

  /** From behind, where there is most likely something left. */
  #isComplete(ends: readonly Ends[], isFinished: IsFinished): boolean {
    if (!ends.some(({ finished }) => finished)) return false;
    return [...this.#tables.values()].toReversed().every(isFinished);
  }

  async #write({ records, start }: Place, mark: Mark): Promise<void> {
    const { bytes } = records.out;
    const cursor = new RecordCursor(bytes).stand(bytes, start);
    const envelope = await this.#envelope(bytes.readUInt32BE(cursor.valueStart + 1));
    const { valueStart, valueLength } = cursor;
    envelope.locate(bytes, valueStart + WIRE_HEADER_BYTES, valueStart + valueLength);
    const reader = new ByteReader().at(bytes, envelope.sourceStart);
    // `version`, `connector`, `name`, `ts_ms`, and the branch of `snapshot`.
    for (let texts = 0; texts < 3; texts++) reader.skipSlice();
    reader.long();
    reader.long();
    const from = reader.position;
    reader.skipSlice();
    const text = Buffer.from(mark);
    // A length below 64 is one byte in Avro.
    const by = Buffer.concat([Buffer.of(text.length * 2), text]);
    replaceInValue(records, { start, from, to: reader.position }, by);
  }

  async #envelope(id: number): Promise<EnvelopeReader> {
    let reader = this.#readers.get(id);
    if (reader === undefined) {
      reader = new EnvelopeReader(await this.#registry.byId(id));
      this.#readers.set(id, reader);
    }
    return reader;
  }
}

/** The first and last row of a snapshot in what is written for one topic; null if there is none. */
function endsOf(writers: readonly RecordWriter[]): Pick<Ends, 'first' | 'last'> | null {
  let first: Place | null = null;
  let last: Place | null = null;
  for (const records of writers) {
    const cursor = new RecordCursor(records.written());
    while (cursor.next()) {
      if (cursor.op !== READ) continue;
      last = { records, start: cursor.start };
      first ??= last;
    }
  }
  return first === null || last === null ? null : { first, last };
}

/** The tables that have rows. The locks that it takes to see that (of indexes) are let go again. */
export async function tablesWithRows(
  connection: Connection,
  units: readonly SnapshotUnit[],
): Promise<CataloguedTable[]> {
  await connection.rows('SAVEPOINT look; SET LOCAL lock_timeout = 0');
  const found = new Set<CataloguedTable>();
  for (const { of, relation, conditions } of units) {
    if (found.has(of)) continue;
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
    const [row] = await connection.rows<{ some: boolean }>(
      `SELECT EXISTS (SELECT FROM ${relation} ${where}) AS some`,
    );
    if (row?.some === true) found.add(of);
  }
  await connection.rows('ROLLBACK TO SAVEPOINT look; RELEASE SAVEPOINT look');
  return [...found];
}
