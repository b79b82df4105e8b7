import avsc from 'avsc';
import type { RecordCursor, PlainRecord, RecordHeader } from '../../broker/records.ts';
import { MillraceError } from '../../errors.ts';
import type { AvroNamed, AvroSchema } from '../../schemas/avro.ts';
import {
  envelopeSchema,
  keySchema,
  sourceSchema,
  type TableShape,
} from '../../schemas/envelope.ts';
import { wireHeader, WIRE_HEADER_BYTES, type SchemaRegistry } from '../../schemas/registry.ts';

export type Row = Readonly<Record<string, unknown>>;

export interface Change {
  readonly op: 'c' | 'r' | 'u' | 'd' | 't' | 'm';
  readonly version: bigint;
  /** The key columns; left out for a truncate and for tables without a key. */
  readonly key?: Row;
  /** `before` of a delete, `after` of the others: all columns, with anything in unchanged ones. */
  readonly row?: Row;
  readonly unchanged?: readonly string[];
  /** Of a key change: on the delete the new key, on the insert the old one. */
  readonly newKey?: Row;
  readonly oldKey?: Row;
}

/** A change read back from a topic; `row` null for a tombstone, `unchanged` without what is known. */
export interface DecodedChange {
  readonly op: string;
  readonly version: bigint;
  readonly key: string | null;
  readonly row: Row | null;
  readonly headers: readonly string[];
}

const header = (name: string, value: unknown): RecordHeader => ({
  name,
  value: Buffer.from(JSON.stringify(value)),
});

/** Schemas by id, in memory. */
export function memoryRegistry(): SchemaRegistry & { asked: number[] } {
  const schemas: AvroSchema[] = [];
  const asked: number[] = [];
  return {
    asked,
    register: async (_subject, schema) => {
      const text = JSON.stringify(schema);
      const known = schemas.findIndex((candidate) => JSON.stringify(candidate) === text);
      return known >= 0 ? known + 1 : schemas.push(schema);
    },
    byId: async (id) => {
      asked.push(id);
      const schema = schemas[id - 1];
      if (schema === undefined) throw new MillraceError('SCHEMA_UNKNOWN', `no schema ${id}`);
      return schema;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Writes records of a table as a connector does, with the Avro library instead of our own code. */
export class ChangeRecords {
  readonly #key: avsc.Type | null;
  readonly #keyHeader: Buffer;
  readonly #value: avsc.Type;
  readonly #valueHeader: Buffer;

  private constructor(keys: AvroNamed | null, value: AvroNamed, ids: readonly [number, number]) {
    this.#key = keys === null ? null : avsc.Type.forSchema(keys as avsc.Schema);
    this.#value = avsc.Type.forSchema(value as avsc.Schema);
    this.#keyHeader = wireHeader(ids[0]);
    this.#valueHeader = wireHeader(ids[1]);
  }

  static async of(table: TableShape, registry: SchemaRegistry): Promise<ChangeRecords> {
    const key = keySchema(table);
    const value = envelopeSchema(table, sourceSchema('postgresql', []));
    const keyId = key === null ? 0 : await registry.register(`${table.topic}-key`, key);
    return new ChangeRecords(key, value, [
      keyId,
      await registry.register(`${table.topic}-value`, value),
    ]);
  }

  record(change: Change): PlainRecord {
    const { op, version, key, row = null, unchanged, newKey, oldKey } = change;
    const source = { version: '1', connector: 'postgresql', name: 'shop', ts_ms: 5, db: 'shop' };
    const body = this.#value.toBuffer({
      before: op === 'd' ? row : null,
      after: op === 'd' ? null : row,
      source: { ...source, snapshot: 'false', sequence: null, ts_us: null, ts_ns: null },
      transaction: null,
      op,
      ts_ms: 7,
      ts_us: null,
      ts_ns: null,
    });
    return {
      key: key === undefined ? null : this.keyBytes(key),
      value: Buffer.concat([this.#valueHeader, body]),
      timestamp: 1_700_000_000_000,
      op,
      version,
      headers: [
        ...(newKey === undefined ? [] : [header('__debezium.newkey', newKey)]),
        ...(oldKey === undefined ? [] : [header('__debezium.oldkey', oldKey)]),
        ...(unchanged === undefined ? [] : [header('millrace.unchanged', unchanged)]),
      ],
    };
  }

  keyBytes(key: Row): Buffer {
    if (this.#key === null) throw new Error('the table has no key');
    return Buffer.concat([this.#keyHeader, this.#key.toBuffer(key)]);
  }
}

/** 64-bit integers: as numbers where that is exact (the times of an envelope are not, in ns). */
const longs = avsc.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => {
    const value = buffer.readBigInt64LE();
    return BigInt.asIntN(53, value) === value ? Number(value) : value;
  },
  toBuffer: (value: bigint | number) => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64LE(BigInt(value));
    return buffer;
  },
  fromJSON: (value: number) => BigInt(value),
  toJSON: String,
  isValid: (value: unknown) => typeof value === 'bigint' || typeof value === 'number',
  compare: (one: bigint, other: bigint) => (one < other ? -1 : one > other ? 1 : 0),
});

const isLong = (schema: unknown): boolean =>
  schema === 'long' ||
  (typeof schema === 'object' && schema !== null && 'type' in schema && schema.type === 'long');

/** Reads records back. Columns that the record says it does not have are left out of the row. */
export class ChangeDecoder {
  readonly #registry: SchemaRegistry;
  readonly #types = new Map<number, avsc.Type>();

  constructor(registry: SchemaRegistry) {
    this.#registry = registry;
  }

  async decode(cursor: RecordCursor): Promise<DecodedChange> {
    const value = cursor.value();
    const unchanged = cursor.header('millrace.unchanged');
    const missing: string[] = unchanged ? (JSON.parse(unchanged.toString()) as string[]) : [];
    const names = cursor.headers().map(({ name }) => name);
    return {
      op: String.fromCharCode(cursor.op),
      version: cursor.version,
      key: cursor.key()?.subarray(WIRE_HEADER_BYTES).toString('hex') ?? null,
      row: value === null ? null : await this.#row(value, missing),
      headers: names.filter((name) => !name.startsWith('millrace.')),
    };
  }

  async #row(value: Buffer, missing: readonly string[]): Promise<Row | null> {
    const id = value.readUInt32BE(1);
    let type = this.#types.get(id);
    if (type === undefined) {
      type = avsc.Type.forSchema((await this.#registry.byId(id)) as avsc.Schema, {
        // The library's typings forbid a hook that leaves a schema to it.
        typeHook: (schema): avsc.Type => (isLong(schema) ? longs : undefined) as avsc.Type,
      });
      this.#types.set(id, type);
    }
    const { before, after } = type.fromBuffer(value.subarray(WIRE_HEADER_BYTES)) as {
      before: Row | null;
      after: Row | null;
    };
    const image = after ?? before;
    if (image === null) return null;
    return Object.fromEntries(Object.entries(image).filter(([name]) => !missing.includes(name)));
  }
}
