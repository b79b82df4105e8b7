import { MillraceError } from '../../errors.ts';
import { EnvelopeReader, type EnvelopeColumn } from '../../schemas/envelope-reader.ts';
import type { SchemaRegistry } from '../../schemas/registry.ts';

/** How many different lists of unchanged columns are kept resolved per schema. */
const LISTS_MAX = 64;

interface ColumnList {
  readonly text: Buffer;
  readonly columns: Int32Array;
}

/** A value schema of the topics, with what making rows whole asks of it again and again. */
export class ValueSchema {
  readonly id: number;
  readonly reader: EnvelopeReader;
  readonly #lists: ColumnList[] = [];
  readonly #mappings = new Map<number, Int32Array>();

  constructor(id: number, reader: EnvelopeReader) {
    this.id = id;
    this.reader = reader;
  }

  /**
   * The columns that a header `millrace.unchanged` names, as indexes. A table has few different lists,
   * so they are found again by their bytes. Throws `RECORD_MALFORMED`.
   */
  columnsOf(bytes: Buffer, start: number, end: number): Int32Array {
    for (const { text, columns } of this.#lists) {
      if (text.length === end - start && text.compare(bytes, start, end) === 0) return columns;
    }
    const text = Buffer.from(bytes.subarray(start, end));
    const columns = this.#resolve(text);
    if (this.#lists.length === LISTS_MAX) this.#lists.shift();
    this.#lists.push({ text, columns });
    return columns;
  }

  /** For each column of ours, the column of the other schema that holds the same in the same bytes, or -1. */
  mappingFrom(other: ValueSchema): Int32Array {
    let mapping = this.#mappings.get(other.id);
    if (mapping === undefined) {
      mapping = Int32Array.from(this.reader.columns, (column) => {
        const index = other.reader.columns.findIndex(({ name }) => name === column.name);
        const found = other.reader.columns[index];
        return found !== undefined && typeOf(found) === typeOf(column) ? index : -1;
      });
      this.#mappings.set(other.id, mapping);
    }
    return mapping;
  }

  /** The header's text for the columns that `missing` marks. */
  listOf(missing: Uint8Array): Buffer {
    const names = this.reader.columns.filter((_, index) => missing[index] === 1);
    return Buffer.from(JSON.stringify(names.map(({ name }) => name)));
  }

  #resolve(text: Buffer): Int32Array {
    let names: unknown;
    try {
      names = JSON.parse(text.toString());
    } catch {
      names = null;
    }
    const { columns } = this.reader;
    const found = Array.isArray(names)
      ? names.map((name) => columns.findIndex((column) => column.name === name))
      : [-1];
    if (found.includes(-1)) {
      throw new MillraceError('RECORD_MALFORMED', 'a list of unchanged columns does not fit', {
        place: `schema ${this.id}`,
        expected: 'header millrace.unchanged: a JSON array of columns of the value schema',
      });
    }
    return Int32Array.from(found);
  }
}

/** The semantic type says it where there is one: a named Avro type may be spelled out or referred to. */
function typeOf({ type, schema, nullBranch }: EnvelopeColumn): string {
  return JSON.stringify([type ?? schema, nullBranch]);
}

/** The schemas met so far. Ids never change their meaning, so each is asked for once. */
export class ValueSchemas {
  readonly #registry: SchemaRegistry;
  readonly #known = new Map<number, ValueSchema>();

  constructor(registry: SchemaRegistry) {
    this.#registry = registry;
  }

  get(id: number): ValueSchema | undefined {
    return this.#known.get(id);
  }

  /** Throws `SCHEMA_UNKNOWN`, or `RECORD_MALFORMED` if it is no envelope. */
  async resolve(id: number): Promise<void> {
    const schema = await this.#registry.byId(id);
    this.#known.set(id, new ValueSchema(id, new EnvelopeReader(schema)));
  }
}
