import avsc from 'avsc';
import type { RecordCursor, PlainRecord } from '../../broker/records.ts';
import { MillraceError } from '../../errors.ts';
import type { AvroSchema } from '../../schemas/avro.ts';
import type { TableShape } from '../../schemas/envelope.ts';
import { WIRE_HEADER_BYTES, type SchemaRegistry } from '../../schemas/registry.ts';
import { isLong, longType } from './avro-long.ts';
import { type Row, TableChangesBuilder } from './changes.ts';

export type { Row };

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

/** Records of a table as a connector writes them, in the words of the compact stage's tests. */
export class ChangeRecords {
  readonly #builder: TableChangesBuilder;

  private constructor(builder: TableChangesBuilder) {
    this.#builder = builder;
  }

  static async of(table: TableShape, registry: SchemaRegistry): Promise<ChangeRecords> {
    return new ChangeRecords(await TableChangesBuilder.register(table, registry));
  }

  record({ row: given, ...change }: Change): PlainRecord {
    const row = given ?? null;
    const images = change.op === 'd' ? { before: row } : { after: row };
    return this.#builder.record({ ...change, ...images, committedAt: 1_700_000_000_000 });
  }

  keyBytes(key: Row): Buffer {
    return this.#builder.keyBytes(key);
  }
}

/** As numbers where that is exact (the times of an envelope are not, in ns). */
const longs = longType((value) => (BigInt.asIntN(53, value) === value ? Number(value) : value));

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
