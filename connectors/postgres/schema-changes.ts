import { topicName, type TopicName } from '../../broker/broker.ts';
import { ByteWriter } from '../../schemas/byte-writer.ts';
import { wireHeader } from '../../schemas/registry.ts';
import { schemaChangeKey, schemaChangeValue } from '../../schemas/schema-change.ts';
import type { CataloguedTable } from './catalogue.ts';
import type { ChangeEvent } from './change-event.ts';
import { quoteTable } from './server.ts';
import { postgresSource, SourceBlock } from './source-block.ts';
import { definitionOf, type ColumnDefinition, type TableDefinition } from './table-definition.ts';
import type { EncoderContext } from './table-encoder.ts';
import type { PgTable } from './table.ts';

/** Registers the schemas of the topic `<prefix>`; its records can then be written without waiting. */
export async function openSchemaChanges(context: EncoderContext): Promise<SchemaChanges> {
  const { registry, prefix } = context;
  const topic = topicName(prefix);
  const { namespace: _, ...source } = postgresSource;
  const keyId = await registry.register(`${topic}-key`, schemaChangeKey('postgresql'));
  const valueId = await registry.register(
    `${topic}-value`,
    schemaChangeValue('postgresql', source),
  );
  return new SchemaChanges(topic, context, { keyId, valueId });
}

/** Writes how tables are defined that are going to be read. */
export async function tellTables(
  tables: readonly CataloguedTable[],
  context: EncoderContext,
  event: ChangeEvent,
): Promise<void> {
  const schemas = await openSchemaChanges(context);
  for (const { table } of tables) {
    schemas.described(table);
    schemas.tell(table.oid, event);
  }
}

/** How a table was defined when it was described. */
interface Described {
  readonly table: PgTable;
  readonly definition: TableDefinition;
  /** To compare. */
  readonly text: string;
}

/**
 * Tells how tables are defined: once as `CREATE`, before or with the first rows that this object sees of a
 * table, and as `ALTER` with the first change after its definition became another. Postgres streams no
 * DDL; it describes a table again before the next change of it.
 */
export class SchemaChanges {
  readonly #topic: TopicName;
  readonly #context: EncoderContext;
  readonly #valueHeader: Buffer;
  readonly #key: Buffer;
  /** Definitions that were told, by table. */
  readonly #told = new Map<string, string>();
  /** Those that wait for a change. */
  readonly #waiting = new Map<number, Described>();

  constructor(
    topic: TopicName,
    context: EncoderContext,
    ids: { readonly keyId: number; readonly valueId: number },
  ) {
    this.#topic = topic;
    this.#context = context;
    this.#valueHeader = wireHeader(ids.valueId);
    const key = new ByteWriter(64);
    key.raw(wireHeader(ids.keyId));
    key.string(context.database);
    this.#key = Buffer.from(key.written());
  }

  /** Whether there is something that {@link tell} would write. */
  get waits(): boolean {
    return this.#waiting.size > 0;
  }

  /** A table is defined like this from the next change on. */
  described(table: PgTable): void {
    const definition = definitionOf(table);
    const text = JSON.stringify(definition);
    if (this.#told.get(quoteTable(table)) === text) this.#waiting.delete(table.oid);
    else this.#waiting.set(table.oid, { table, definition, text });
  }

  /** A change of the table was written. */
  tell(oid: number, event: ChangeEvent): void {
    const found = this.#waiting.get(oid);
    if (found === undefined) return;
    this.#waiting.delete(oid);
    this.#write(found, event);
  }

  #write({ table, definition, text }: Described, event: ChangeEvent): void {
    const { version, prefix, database, buffer } = this.#context;
    const { schema, name } = table;
    const id = quoteTable(table);
    const type = this.#told.has(id) ? 'ALTER' : 'CREATE';
    const place = { schema, table: name, collection: null };
    const source = new SourceBlock({ version, prefix, database, ...place });
    const records = buffer.writer(this.#topic, 0);
    const { out } = records;
    const { timestamp } = event.head;
    // Without op and version: it is no change of a row.
    records.start({ timestamp, op: 0, versionHigh: 0, versionLow: 0 }, this.#key);
    out.raw(this.#valueHeader);
    source.write(event, out);
    out.long(timestamp);
    optionalText(database, out);
    optionalText(schema, out);
    out.byte(0);
    out.long(1);
    out.string(type);
    out.string(id);
    out.byte(2);
    writeDefinition(definition, out);
    out.byte(0);
    records.endValue();
    records.finish();
    this.#told.set(id, text);
  }
}

function writeDefinition(definition: TableDefinition, out: ByteWriter): void {
  const { primaryKey, columns, attributes } = definition;
  out.byte(0);
  out.byte(2);
  writeArray(primaryKey, out, (name) => out.string(name));
  let position = 0;
  writeArray(columns, out, (column) => writeColumn(column, ++position, out));
  out.byte(0);
  out.byte(2);
  writeArray(attributes, out, ([name, value]) => {
    out.string(name);
    optionalText(value, out);
  });
}

function writeColumn(column: ColumnDefinition, position: number, out: ByteWriter): void {
  out.string(column.name);
  out.long(column.jdbcType);
  optionalNumber(column.nativeType, out);
  out.string(column.typeName);
  optionalText(column.typeExpression, out);
  out.byte(0);
  optionalNumber(column.length, out);
  optionalNumber(column.scale, out);
  out.long(position);
  for (const said of [column.optional, column.autoIncremented, false]) {
    out.byte(2);
    out.byte(said ? 1 : 0);
  }
  out.byte(0);
  optionalText(column.default, out);
  if (column.labels === null) out.byte(0);
  else {
    out.byte(2);
    writeArray(column.labels, out, (label) => out.string(label));
  }
}

/** Avro: one block with its count, then the block that ends it. */
function writeArray<T>(items: readonly T[], out: ByteWriter, write: (item: T) => void): void {
  if (items.length > 0) out.long(items.length);
  for (const item of items) write(item);
  out.byte(0);
}

function optionalText(text: string | null, out: ByteWriter): void {
  if (text === null) return out.byte(0);
  out.byte(2);
  out.string(text);
}

function optionalNumber(value: number | null, out: ByteWriter): void {
  if (value === null) return out.byte(0);
  out.byte(2);
  out.long(value);
}
