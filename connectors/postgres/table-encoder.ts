import { topicName, type TopicName } from '../../broker/broker.ts';
import type { OutgoingBuffer } from '../../broker/outgoing-buffer.ts';
import type { RecordWriter } from '../../broker/records.ts';
import { envelopeSchema, keySchema } from '../../schemas/envelope.ts';
import { wireHeader, type SchemaRegistry } from '../../schemas/registry.ts';
import { ChangeEvent } from './change-event.ts';
import { Key } from './key.ts';
import {
  EXACT_HEADER,
  NEW_KEY,
  OLD_KEY,
  OLD_PARTITION_HEADER,
  UNCHANGED_HEADER,
} from './record-headers.ts';
import { Row } from './row.ts';
import { postgresSource, SourceBlock } from './source-block.ts';
import { tableShape, type TopicForm } from './table-shape.ts';
import { tellsKey, type PgTable } from './table.ts';
import type { Tuple } from './tuple.ts';
import { untoldKey } from './untold-key.ts';
import { MillraceError } from '../../errors.ts';

export interface EncoderContext extends TopicForm {
  readonly registry: SchemaRegistry;
  readonly buffer: OutgoingBuffer;
  readonly database: string;
  readonly partitions: number;
  /** Whether a null value follows each delete. */
  readonly tombstones: boolean;
  /** Ours, for `source.version`. */
  readonly version: string;
}

/**
 * Registers the schemas of a table as it is now; its rows can then be encoded without waiting. Where the
 * registry refuses them, columns outside the key are registered as optional: a column that has become
 * NOT NULL, or was added so, must still be readable in what was written before.
 */
export async function openTableEncoder(
  table: PgTable,
  context: EncoderContext,
): Promise<TableEncoder> {
  try {
    return await registered(table, context);
  } catch (error) {
    const isRefused = error instanceof MillraceError && error.code === 'SCHEMA_INCOMPATIBLE';
    if (!isRefused) throw error;
    const columns = table.columns.map((column) =>
      table.key.includes(column.name) ? column : { ...column, optional: true },
    );
    return await registered({ ...table, columns }, context);
  }
}

async function registered(table: PgTable, context: EncoderContext): Promise<TableEncoder> {
  const { shape } = tableShape(table, context);
  const keyed = keySchema(shape);
  const { registry } = context;
  const keyId = keyed === null ? null : await registry.register(`${shape.topic}-key`, keyed);
  const valueId = await registry.register(
    `${shape.topic}-value`,
    envelopeSchema(shape, postgresSource),
  );
  return new TableEncoder(table, context, { keyId, valueId });
}

const OP = { create: 0x63, read: 0x72, update: 0x75, delete: 0x64, truncate: 0x74 } as const;
type Op = (typeof OP)[keyof typeof OP];

/**
 * Writes the changes of one table as whole records (key, envelope, version, headers, tombstone) into
 * the writers of their partitions. A table without a key has one history: all of it goes to partition 0
 * with a null key and without tombstones.
 *
 * `read`, `insert`, `update` and `delete` answer false, and write nothing, if a column is null that the
 * schema does not allow to be: the table must then be opened again with that column optional. They
 * throw `VALUE_UNSUPPORTED`, `SOURCE_IDENTITY`, `SOURCE_FORMAT` or `PROTOCOL_UNEXPECTED` with table and
 * column, and write nothing of that change then.
 */
export class TableEncoder {
  readonly table: PgTable;
  /** `schema.table`. */
  readonly name: string;
  readonly #buffer: OutgoingBuffer;
  readonly #topic: TopicName;
  readonly #partitions: number;
  readonly #tombstones: boolean;
  readonly #valueHeader: Buffer;
  readonly #row: Row;
  readonly #source: SourceBlock;
  readonly #newKey: Key | null;
  readonly #oldKey: Key | null;
  /** Whether old rows tell the primary key, and its change. */
  readonly #keyTold: boolean;

  // What the next record has besides its images.
  #event = new ChangeEvent();
  #key: Key | null = null;
  #partition = 0;
  #older: Tuple | null = null;
  #headerName: Buffer | null = null;
  #headerValue: Buffer | null = null;

  constructor(
    table: PgTable,
    context: EncoderContext,
    ids: { readonly keyId: number | null; readonly valueId: number },
  ) {
    const { keyId } = ids;
    const { prefix, version, database } = context;
    this.table = table;
    this.#buffer = context.buffer;
    this.#topic = topicName(prefix, table.schema, table.name);
    this.#partitions = context.partitions;
    this.#tombstones = context.tombstones;
    this.name = `${table.schema}.${table.name}`;
    this.#valueHeader = wireHeader(ids.valueId);
    this.#row = new Row(table, context.modes);
    this.#newKey = keyId === null ? null : new Key(table, keyId, context);
    this.#oldKey = keyId === null ? null : new Key(table, keyId, context);
    this.#keyTold = tellsKey(table);
    this.#source = new SourceBlock({
      version,
      prefix,
      database,
      schema: table.schema,
      table: table.name,
    });
  }

  /** A row of the snapshot. */
  read(row: Tuple, event: ChangeEvent): boolean {
    return this.#appear(OP.read, row, event);
  }

  insert(row: Tuple, event: ChangeEvent): boolean {
    return this.#appear(OP.create, row, event);
  }

  #appear(op: Op, row: Tuple, event: ChangeEvent): boolean {
    if (!this.#row.fits(row)) return false;
    this.#event = event;
    this.#older = null;
    this.#select(this.#newKey, row);
    this.#record(op, null, row);
    return true;
  }

  /** `old` is null if the server sent no old row. A changed key becomes a delete and a create. */
  update(old: Tuple | null, row: Tuple, event: ChangeEvent): boolean {
    if (!this.#row.fits(row) || (old?.full === true && !this.#row.fits(old))) return false;
    this.#event = event;
    if (this.#newKey !== null && !this.#keyTold) throw untoldKey(this.table);
    this.#older = old;
    if (old !== null && this.moves(old, row)) {
      this.#move(old, row);
      return true;
    }
    this.#select(this.#newKey, row);
    this.#record(OP.update, old?.full === true ? old : null, row);
    return true;
  }

  /** Whether an update changes the key: then it is two events. */
  moves(old: Tuple, row: Tuple): boolean {
    const key = this.#newKey;
    if (key === null || key.sameBytes(row, old)) return false;
    this.#older = old;
    this.#select(key, row);
    this.#select(this.#oldKey, old);
    return this.#oldKey?.equals(key) === false;
  }

  delete(old: Tuple, event: ChangeEvent): boolean {
    if (old.full && !this.#row.fits(old)) return false;
    if (this.#newKey !== null && !this.#keyTold) throw untoldKey(this.table);
    this.#event = event;
    this.#older = null;
    this.#select(this.#newKey, old);
    this.#record(OP.delete, old, null);
    this.#tombstone();
    return true;
  }

  /** Everything of a lower version is gone, in every partition. */
  truncate(event: ChangeEvent): void {
    this.#event = event;
    this.#key = null;
    for (this.#partition = 0; this.#partition < this.#partitions; this.#partition++) {
      if (this.#partition > 0) event.order?.repeat();
      this.#record(OP.truncate, null, null);
    }
    this.#partition = 0;
  }

  /** The row leaves its old key and appears under the new one; each record names the other's key. */
  #move(old: Tuple, row: Tuple): void {
    const leaving = this.#writer();
    const { count } = leaving;
    const { position } = leaving.out;
    try {
      this.#headerName = NEW_KEY;
      this.#headerValue = this.#newKey?.json() ?? null;
      this.#record(OP.delete, old, null);
      this.#tombstone();
      this.#key = this.#newKey;
      this.#headerName = OLD_KEY;
      this.#headerValue = this.#oldKey?.json() ?? null;
      this.#record(OP.create, null, row);
    } catch (error) {
      leaving.count = count;
      leaving.out.position = position;
      throw error;
    } finally {
      this.#headerName = null;
    }
  }

  #select(key: Key | null, row: Tuple): void {
    this.#key = key;
    if (key === null) return;
    try {
      key.encode(row, this.#older);
    } catch (error) {
      throw error instanceof MillraceError && error.code === 'SOURCE_IDENTITY'
        ? untoldKey(this.table)
        : this.#row.locate(error, this.name, key.column);
    }
  }

  #writer(): RecordWriter {
    const partition = this.#key?.partition(this.#partitions) ?? this.#partition;
    return this.#buffer.writer(this.#topic, partition);
  }

  #record(op: Op, before: Tuple | null, after: Tuple | null): void {
    const event = this.#event;
    const key = this.#key;
    const records = this.#writer();
    const { out } = records;
    const { position } = out;
    event.head.op = op;
    try {
      if (key === null) records.start(event.head, null);
      else records.start(event.head, key.bytes, key.end);
      out.raw(this.#valueHeader);
      this.#row.start();
      this.#row.image = 'before';
      this.#image(before, records);
      this.#row.image = 'after';
      this.#image(after, records);
      this.#source.write(event, out);
      out.reserve(2);
      out.bytes[out.position++] = 2;
      out.bytes[out.position++] = op;
      out.raw(event.processed);
      records.endValue();
      const missing = this.#row.missing();
      if (missing !== null) records.header(UNCHANGED_HEADER, missing);
      const exact = this.#row.exact(key === null ? null : key.exact);
      if (exact !== null) records.header(EXACT_HEADER, exact);
      if (this.#headerName !== null) records.header(this.#headerName, this.#headerValue);
      if (missing !== null && this.#headerName === OLD_KEY) this.#tellOldPartition(records);
      records.finish();
    } catch (error) {
      out.position = position;
      throw this.#row.locate(error, this.name);
    }
  }

  /** Without it the values that are missing are to be found in the partition of the record itself. */
  #tellOldPartition(records: RecordWriter): void {
    const from = this.#oldKey?.partition(this.#partitions) ?? 0;
    if (from === this.#newKey?.partition(this.#partitions)) return;
    records.header(OLD_PARTITION_HEADER, Buffer.from(String(from)));
  }

  #image(row: Tuple | null, records: RecordWriter): void {
    records.out.byte(row === null ? 0 : 2);
    if (row !== null) this.#row.write(row, this.#older, records.out);
  }

  /** Kafka's compaction then forgets the key. */
  #tombstone(): void {
    const key = this.#key;
    if (!this.#tombstones || key === null) return;
    const records = this.#writer();
    records.start(this.#event.head, key.bytes, key.end);
    records.nullValue();
    if (this.#headerName !== null) records.header(this.#headerName, this.#headerValue);
    records.finish();
  }
}
