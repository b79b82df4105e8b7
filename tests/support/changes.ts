import { DatabaseSync } from 'node:sqlite';
import avsc from 'avsc';
import { embeddedRegistry, type EmbeddedRegistry } from '../../schemas/embedded-registry.ts';
import { offset, topicName, type RecordBatch, type TopicName } from '../../broker/broker.ts';
import { pack, type PlainRecord, type RecordHeader } from '../../broker/records.ts';
import { avroName, type AvroSchema } from '../../schemas/avro.ts';
import {
  envelopeSchema,
  keySchema,
  sourceSchema,
  type TableShape,
} from '../../schemas/envelope.ts';
import { wireHeader, type SchemaRegistry } from '../../schemas/registry.ts';
import type { SemanticType } from '../../schemas/semantic.ts';
import { isLong, longType } from './avro-long.ts';

/** A row by the source's column names; a value is what the Avro library takes for the column's type. */
export type Row = Readonly<Record<string, unknown>>;

/** A change in a test's words. */
export interface TestChange {
  readonly op: 'c' | 'r' | 'u' | 'd' | 't' | 'm';
  /** Left out: the record has neither op nor version, as Debezium's own. */
  readonly version?: bigint | number;
  readonly key?: Row;
  readonly before?: Row | null;
  readonly after?: Row | null;
  /** Columns that were not sent. */
  readonly unchanged?: readonly string[];
  /** Of a key change: on the delete the new key, on the insert the old one. */
  readonly newKey?: Row | undefined;
  readonly oldKey?: Row | undefined;
  readonly committedAt?: number;
}

/** A registry that lasts as long as the test. */
export function memoryRegistry(): EmbeddedRegistry {
  return embeddedRegistry(new DatabaseSync(':memory:'));
}

const source = sourceSchema('postgresql', [{ name: 'lsn', type: ['null', 'long'], default: null }]);

const longs = longType();

function typeOf(schema: AvroSchema): avsc.Type {
  return avsc.Type.forSchema(schema as avsc.Schema, {
    wrapUnions: true,
    // Plain `long` only: one with attributes is the same type.
    // The library's typings forbid a hook that leaves a schema to it.
    typeHook: (attributes): avsc.Type =>
      (isLong(attributes) ? longs : undefined) as unknown as avsc.Type,
  });
}

/** Writes changes of one version of a table as they are on its `.changes` topic. */
export class TableChangesBuilder {
  readonly shape: TableShape;
  readonly topic: TopicName;
  readonly #value: avsc.Type;
  readonly #key: avsc.Type | null;
  readonly #valueHeader: Buffer;
  readonly #keyHeader: Buffer | null;

  private constructor(shape: TableShape, ids: { value: number; key: number | null }) {
    this.shape = shape;
    this.topic = topicName(shape.topic, 'changes');
    this.#value = typeOf(envelopeSchema(shape, source));
    const key = keySchema(shape);
    this.#key = key === null ? null : typeOf(key);
    this.#valueHeader = wireHeader(ids.value);
    this.#keyHeader = ids.key === null ? null : wireHeader(ids.key);
  }

  static async register(shape: TableShape, registry: SchemaRegistry): Promise<TableChangesBuilder> {
    const value = await registry.register(
      `${shape.topic}.changes-value`,
      envelopeSchema(shape, source),
    );
    const key = keySchema(shape);
    return new TableChangesBuilder(shape, {
      value,
      key: key === null ? null : await registry.register(`${shape.topic}.changes-key`, key),
    });
  }

  record(change: TestChange): PlainRecord {
    const { op, version, unchanged, newKey, oldKey } = change;
    const image = change.after ?? change.before ?? {};
    const key = change.key ?? Object.fromEntries(this.shape.key.map((name) => [name, image[name]]));
    const headers = [
      ...header('__debezium.newkey', newKey),
      ...header('__debezium.oldkey', oldKey),
      ...header('millrace.unchanged', unchanged),
    ];
    return {
      key: this.#key === null || op === 't' || op === 'm' ? null : this.keyBytes(key),
      value: Buffer.concat([this.#valueHeader, this.#value.toBuffer(this.#envelope(change))]),
      timestamp: change.committedAt ?? 0,
      headers,
      ...(version === undefined ? {} : { op, version: BigInt(version) }),
    };
  }

  keyBytes(key: Row): Buffer {
    if (this.#key === null || this.#keyHeader === null) throw new Error('the table has no key');
    return Buffer.concat([this.#keyHeader, this.#key.toBuffer(this.#row(key, this.shape.key))]);
  }

  #envelope({ op, before = null, after = null, committedAt = 0 }: TestChange): object {
    const wrap = (row: Row | null): object | null =>
      row === null ? null : { [`${this.shape.topic}.Value`]: this.#row(row) };
    return {
      before: wrap(before),
      after: wrap(after),
      source: {
        version: '1',
        connector: 'postgresql',
        name: 'test',
        ts_ms: committedAt,
        snapshot: { string: 'false' },
        db: 'test',
        sequence: null,
        ts_us: null,
        ts_ns: null,
        lsn: null,
      },
      transaction: null,
      op,
      ts_ms: null,
      ts_us: null,
      ts_ns: null,
    };
  }

  #row(row: Row, only?: readonly string[]): object {
    const columns = this.shape.columns.filter(({ name }) => only?.includes(name) ?? true);
    return Object.fromEntries(
      columns.map(({ name, type, optional }) => {
        const value = itemsWrapped(row[name] ?? null, type);
        return [avroName(name), optional && value !== null ? { [branchOf(type)]: value } : value];
      }),
    );
  }
}

function header(name: string, value: unknown): RecordHeader[] {
  return value === undefined ? [] : [{ name, value: Buffer.from(JSON.stringify(value)) }];
}

function itemsWrapped(value: unknown, type: SemanticType): unknown {
  if (type.kind !== 'array' || !Array.isArray(value)) return value;
  const { items } = type;
  return value.map((item: unknown) =>
    item === null ? null : { [branchOf(items)]: itemsWrapped(item, items) },
  );
}

function branchOf(type: SemanticType): string {
  switch (type.kind) {
    case 'boolean':
      return 'boolean';
    case 'int16':
    case 'int32':
    case 'date':
      return 'int';
    case 'int64':
    case 'timestamp':
      return 'long';
    case 'time':
      return type.unit === 'ms' ? 'int' : 'long';
    case 'float32':
      return 'float';
    case 'float64':
      return 'double';
    case 'bytes':
    case 'decimal':
      return 'bytes';
    case 'variable-decimal':
      return 'io.debezium.data.VariableScaleDecimal';
    case 'array':
      return 'array';
    case 'bits':
      return 'bytes';
    case 'micro-duration':
      return 'long';
    case 'map':
      return 'map';
    case 'point':
      return 'io.debezium.data.geometry.Point';
    case 'geometry':
      return 'io.debezium.data.geometry.Geometry';
    case 'geography':
      return 'io.debezium.data.geometry.Geography';
    case 'double-vector':
    case 'float-vector':
      return 'array';
    case 'sparse-vector':
      return 'io.debezium.data.SparseDoubleVector';
    case 'string':
    case 'enum':
    case 'uuid':
    case 'json':
    case 'xml':
    case 'ltree':
    case 'tsvector':
    case 'interval':
    case 'zoned-timestamp':
    case 'zoned-time':
    case 'iso-date':
    case 'iso-time':
    case 'iso-timestamp':
      return 'string';
  }
}

/** Two's complement bytes, big-endian, as few as hold it. */
export function unscaledBytes(value: bigint): Buffer {
  let size = 1;
  while (BigInt.asIntN(size * 8, value) !== value) size++;
  return Buffer.from(
    BigInt.asUintN(size * 8, value)
      .toString(16)
      .padStart(size * 2, '0'),
    'hex',
  );
}

/** Records as a broker delivers them, in segments of at most `segmentRecords`. */
export function batchOf(
  records: readonly PlainRecord[],
  at: { topic: TopicName; partition?: number; base?: number; segmentRecords?: number },
): RecordBatch {
  const { topic, partition = 0, base = 0, segmentRecords = Infinity } = at;
  const segments = [];
  for (let start = 0; start < records.length; start += segmentRecords) {
    const part = records.slice(start, start + segmentRecords);
    segments.push({ base: offset(base + start), bytes: pack(part).written(), count: part.length });
  }
  return {
    topic,
    partition,
    segments,
    count: records.length,
    bytes: segments.reduce((sum, { bytes }) => sum + bytes.length, 0),
    consumed: {
      topic,
      partition,
      group: 'test',
      generation: 1,
      next: offset(base + records.length),
    },
  };
}
