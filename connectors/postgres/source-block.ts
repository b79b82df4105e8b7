import type { AvroField, AvroNamed } from '../../schemas/avro.ts';
import { ByteWriter } from '../../schemas/byte-writer.ts';
import { sourceSchema } from '../../schemas/envelope.ts';
import { writeMicrosAndNanos, type ChangeEvent } from './change-event.ts';
import { LsnText } from './lsn-text.ts';
import type { EventCount } from './transaction-topic.ts';

const optional = (name: string, type: 'long' | 'string'): AvroField => ({
  name,
  type: ['null', type],
  default: null,
});

/** `source` of Debezium's Postgres connector, field for field. */
export const postgresSource: AvroNamed = sourceSchema('postgresql', [
  { name: 'schema', type: 'string' },
  { name: 'table', type: 'string' },
  optional('txId', 'long'),
  optional('lsn', 'long'),
  optional('xmin', 'long'),
  optional('origin', 'string'),
  optional('origin_lsn', 'long'),
]);

export interface SourceConstants {
  readonly version: string;
  readonly prefix: string;
  readonly database: string;
  readonly schema: string;
  readonly table: string;
  /** In transactions; `<schema>.<table>` if not given, null if no `transaction` follows `source`. */
  readonly collection?: string | null;
}

const lsn = new LsnText();
const lastCommit = new LsnText();

/**
 * Writes `source` and `transaction` after it. Between two changes of a transaction only the
 * LSN differs, which stands in it twice: as a number and as the last part of `sequence`. So from the
 * third change of a transaction on, three ready pieces are copied around it.
 */
export class SourceBlock {
  readonly #names: Buffer;
  readonly #streamed: Buffer;
  readonly #snapshot: Buffer;
  readonly #incremental: Buffer;
  readonly #place: Buffer;
  /** As transactions name what their events belong to. */
  readonly #collection: string | null;
  #count: EventCount | null = null;
  #event: ChangeEvent | null = null;
  #revision = -1;
  #written = 0;

  /** `version` to `db`, and the branch of `sequence`. */
  #before: Buffer = EMPTY;
  /** `sequence` up to the digits of the LSN. */
  #opening: Buffer = EMPTY;
  /** From `ts_us` to the branch of `lsn`. */
  #between: Buffer = EMPTY;
  /** `xmin`, `origin`, `origin_lsn`, and `transaction` if it is null. */
  #after: Buffer = EMPTY;

  constructor(constants: SourceConstants) {
    const { version, prefix, database, schema, table } = constants;
    this.#names = strings(version, 'postgresql', prefix);
    this.#streamed = Buffer.concat([ENUM_BRANCH, strings('false', database), PRESENT]);
    this.#snapshot = Buffer.concat([ENUM_BRANCH, strings('true', database), PRESENT]);
    this.#incremental = Buffer.concat([ENUM_BRANCH, strings('incremental', database), PRESENT]);
    this.#place = strings(schema, table);
    const { collection = `${schema}.${table}` } = constants;
    this.#collection = collection;
  }

  write(event: ChangeEvent, out: ByteWriter): void {
    if (this.#event !== event || this.#revision !== event.revision) {
      this.#event = event;
      this.#revision = event.revision;
      this.#written = 0;
      const collection = this.#collection;
      this.#count = collection === null ? null : (event.order?.countOf(collection) ?? null);
    }
    if (this.#written < 2) {
      this.#writeAll(event, out, this.#written === 1);
      this.#written++;
      return;
    }
    out.raw(this.#before);
    lsn.set(event.lsnHigh, event.lsnLow);
    const opening = this.#opening;
    out.long(opening.length + lsn.size + 2);
    out.raw(opening);
    lsn.write(out);
    out.raw(CLOSING);
    out.raw(this.#between);
    out.longWords(event.lsnHigh, event.lsnLow);
    out.raw(this.#after);
    if (this.#count !== null) event.order?.write(this.#count, out);
  }

  #kind({ snapshot }: ChangeEvent): Buffer {
    switch (snapshot) {
      case 'false':
        return this.#streamed;
      case 'true':
        return this.#snapshot;
      case 'incremental':
        return this.#incremental;
    }
  }

  /** Field by field; keeps the pieces if they are wanted. */
  #writeAll(event: ChangeEvent, out: ByteWriter, keep: boolean): void {
    const before = out.position;
    out.raw(this.#names);
    out.long(Math.floor(event.micros / 1000));
    out.raw(this.#kind(event));
    const sequence = out.position;
    writeSequence(event, out);
    const between = out.position;
    writeMicrosAndNanos(event.micros, out);
    out.raw(this.#place);
    if (event.xid < 0) out.byte(0);
    else {
      out.byte(2);
      out.long(event.xid);
    }
    out.byte(2);
    const number = out.position;
    out.longWords(event.lsnHigh, event.lsnLow);
    const after = out.position;
    writeOrigin(event, out);
    if (this.#count === null && this.#collection !== null) out.byte(0);
    if (keep) this.#keep(out, { before, sequence, between, number, after });
    if (this.#count !== null) event.order?.write(this.#count, out);
  }

  #keep(
    out: ByteWriter,
    at: Readonly<Record<'before' | 'sequence' | 'between' | 'number' | 'after', number>>,
  ): void {
    const piece = (start: number, end: number): Buffer =>
      Buffer.from(out.bytes.subarray(start, end));
    this.#before = piece(at.before, at.sequence);
    // The length before it is one byte: `sequence` has at most 47.
    this.#opening = piece(at.sequence + 1, at.between - lsn.size - CLOSING.length);
    this.#between = piece(at.between, at.number);
    this.#after = piece(at.after, out.position);
  }
}

/** `sequence`, `["123","456"]`: where the last transaction ended, and the LSN of the change. */
function writeSequence(event: ChangeEvent, out: ByteWriter): void {
  const last = event.hasLastCommit;
  lastCommit.set(event.lastCommitHigh, event.lastCommitLow);
  lsn.set(event.lsnHigh, event.lsnLow);
  out.long((last ? lastCommit.size + 2 : NULL_TEXT.length) + lsn.size + 5);
  out.byte(OPENING);
  if (last) {
    out.byte(QUOTE);
    lastCommit.write(out);
    out.byte(QUOTE);
  } else out.raw(NULL_TEXT);
  out.raw(BETWEEN_LSNS);
  lsn.write(out);
  out.raw(CLOSING);
}

function writeOrigin({ origin }: ChangeEvent, out: ByteWriter): void {
  out.byte(0);
  if (origin === null) {
    out.byte(0);
    out.byte(0);
  } else {
    out.byte(2);
    out.string(origin.name);
    out.byte(2);
    out.bigint(origin.lsn);
  }
}

function strings(...texts: readonly string[]): Buffer {
  const out = new ByteWriter(64);
  for (const text of texts) out.string(text);
  return Buffer.from(out.written());
}

const EMPTY = Buffer.alloc(0);
/** `snapshot` is a union whose first branch is the enum. */
const ENUM_BRANCH = Buffer.of(0);
const PRESENT = Buffer.of(2);
const NULL_TEXT = Buffer.from('null');
const BETWEEN_LSNS = Buffer.from(',"');
const OPENING = 0x5b;
const QUOTE = 0x22;
const CLOSING = Buffer.from('"]');
