import { partitionOf } from '../../broker/partition.ts';
import { avroName, type NameAdjustment } from '../../schemas/avro.ts';
import { ByteReader } from '../../schemas/byte-reader.ts';
import { ByteWriter } from '../../schemas/byte-writer.ts';
import { WIRE_HEADER_BYTES, wireHeader } from '../../schemas/registry.ts';
import { jsonOf } from './key-json.ts';
import type { PgTable } from './table.ts';
import { BINARY, NULL, UNCHANGED, type Tuple } from './tuple.ts';
import { codecsOf } from './types/codec-of.ts';
import type { TypeModes } from './types/modes.ts';
import { EXACTNESS, inexact, type Cell, type TypeCodec } from './types/type-codec.ts';
import { MillraceError } from '../../errors.ts';

/** The key of one row: the Confluent header and the key columns in key order. Filled anew per row. */
export class Key {
  readonly #out = new ByteWriter(256);
  readonly #cell: Cell = { bytes: Buffer.alloc(0), start: 0, end: 0 };
  readonly #indexes: readonly number[];
  readonly #codecs: readonly TypeCodec[];
  readonly #names: readonly string[];
  readonly #adjustment: NameAdjustment;
  #at = 0;
  /** Text of the key's values that their types cannot say; null if they say all. */
  exact: readonly (readonly [column: string, text: string])[] | null = null;

  constructor(
    table: PgTable,
    schemaId: number,
    { modes, names }: { readonly modes: TypeModes; readonly names: NameAdjustment },
  ) {
    const columns = table.key.map((name) =>
      table.columns.findIndex((column) => column.name === name),
    );
    this.#indexes = columns;
    this.#names = table.key;
    this.#adjustment = names;
    const codecs = codecsOf(table, modes);
    this.#codecs = columns.map((index) => {
      const chosen = codecs[index];
      if (chosen === undefined) throw new Error(`a key column of ${table.name} is no column of it`);
      return chosen.codec;
    });
    this.#out.raw(wireHeader(schemaId));
  }

  get bytes(): Buffer {
    return this.#out.bytes;
  }

  get end(): number {
    return this.#out.position;
  }

  /** The name of the key column that was being encoded when it failed. */
  get column(): string {
    return this.#names[this.#at] ?? '';
  }

  partition(partitions: number): number {
    return partitionOf(this.#out.bytes, this.#out.position, partitions);
  }

  /** An unchanged key that lies out of line is taken from the old row: Postgres sends it there. */
  encode(row: Tuple, older: Tuple | null): void {
    const out = this.#out;
    const cell = this.#cell;
    out.position = WIRE_HEADER_BYTES;
    this.exact = null;
    for (let i = 0; i < this.#indexes.length; i++) {
      this.#at = i;
      const index = this.#indexes[i] as number;
      const from = older !== null && row.kinds[index] === UNCHANGED ? older : row;
      const kind = from.kinds[index];
      // A key is never made up: what the server did not send is not replaced by a default.
      if (kind === NULL || kind === UNCHANGED) {
        throw new MillraceError('SOURCE_IDENTITY', 'A change came without its primary key.');
      }
      cell.bytes = from.bytes;
      cell.start = from.starts[index] as number;
      cell.end = from.ends[index] as number;
      const codec = this.#codecs[i] as TypeCodec;
      if (kind === BINARY) codec.binary(cell, out);
      else codec.text(cell, out);
      if (inexact.exactness !== EXACTNESS.exact) this.#tell();
    }
  }

  #tell(): void {
    const { exactness, text } = inexact;
    inexact.exactness = EXACTNESS.exact;
    if (exactness !== EXACTNESS.uniquePlaceholder) {
      throw new MillraceError(
        'VALUE_UNSUPPORTED',
        'A key has a value that others are written like.',
        {
          expected: 'in keys, arrays with their declared dimensions that count from 1',
        },
      );
    }
    this.exact = [...(this.exact ?? []), [this.column, text]];
  }

  /** Whether two rows have the very same bytes in all key columns; if not, the keys may still be equal. */
  sameBytes(row: Tuple, other: Tuple): boolean {
    for (const index of this.#indexes) if (!row.sameBytes(other, index)) return false;
    return true;
  }

  equals(other: Key): boolean {
    return this.#out.written().equals(other.#out.written());
  }

  /** The key as JSON text with exact numbers, as Debezium's headers about a changed key have it. */
  json(): Buffer {
    const reader = new ByteReader(this.#out.written(), WIRE_HEADER_BYTES);
    const fields = this.#codecs.map(
      (codec, i) =>
        `${JSON.stringify(avroName(this.#names[i] ?? '', this.#adjustment))}:${jsonOf(codec.semantic, reader)}`,
    );
    return Buffer.from(`{${fields.join(',')}}`);
  }
}
