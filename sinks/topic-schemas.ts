import type { AvroSchema } from '../schemas/avro.ts';
import { columnsOf, EnvelopeReader, type EnvelopeColumn } from '../schemas/envelope-reader.ts';
import { MillraceError } from '../errors.ts';
import type { SchemaRegistry } from '../schemas/registry.ts';

/** The schemas that topics use, asked for once per id and process: an id never changes its meaning. */
export class TopicSchemas {
  readonly #registry: SchemaRegistry;
  readonly #schemas = new Map<number, AvroSchema>();
  readonly #envelopes = new Map<number, EnvelopeReader>();

  constructor(registry: SchemaRegistry) {
    this.#registry = registry;
  }

  /** Makes schemas known. Throws `SCHEMA_UNKNOWN`. */
  async resolve(ids: Iterable<number>): Promise<void> {
    for (const id of ids) {
      if (!this.#schemas.has(id)) this.#schemas.set(id, await this.#registry.byId(id));
    }
  }

  /** A reader of the values of a resolved schema; there is one, so what it located is overwritten. */
  envelope(id: number): EnvelopeReader {
    let reader = this.#envelopes.get(id);
    if (reader === undefined) {
      reader = new EnvelopeReader(this.#schema(id));
      this.#envelopes.set(id, reader);
    }
    return reader;
  }

  /** The columns of a resolved key schema, in key order. */
  keyColumns(id: number): readonly EnvelopeColumn[] {
    const schema = this.#schema(id);
    if (typeof schema !== 'object' || !('fields' in schema)) {
      throw new MillraceError('RECORD_MALFORMED', `key schema ${id} is not a record`);
    }
    return columnsOf(schema.fields);
  }

  #schema(id: number): AvroSchema {
    const schema = this.#schemas.get(id);
    if (schema === undefined) throw new Error(`schema ${id} was not resolved`);
    return schema;
  }
}
