import type { ReplicaIdentity } from './table.ts';
import { int32At } from './types/type-codec.ts';
import type { WireReader } from './wire-reader.ts';
import { MillraceError } from '../../errors.ts';

/**
 * Messages of the pgoutput plugin, protocol version 1 (PostgreSQL, "Logical Replication Message
 * Formats"); each begins with its letter. Rows are read in `tuple.ts`.
 *
 * ```
 * Begin     B  i64 LSN of the commit  i64 commit time, µs since 2000  u32 xid
 * Commit    C  u8 flags  i64 LSN of the commit  i64 LSN after it  i64 commit time
 * Origin    O  i64 LSN of the commit there  cstring name
 * Relation  R  u32 oid  cstring schema  cstring name  u8 identity d n f i  i16 columns
 *              per column: u8 1 if in the identity  cstring name  u32 type  i32 modifier
 * Type      Y  u32 oid  cstring schema  cstring name
 * Insert    I  u32 oid  N row
 * Update    U  u32 oid  [K identity columns | O whole old row]  N row
 * Delete    D  u32 oid  K identity columns | O whole old row
 * Truncate  T  i32 tables  u8 options  u32 oid…
 * Message   M  u8 flags  i64 LSN  cstring prefix  i32 size  content
 * ```
 */
export const LETTER = {
  begin: 0x42,
  commit: 0x43,
  origin: 0x4f,
  relation: 0x52,
  type: 0x59,
  insert: 0x49,
  update: 0x55,
  delete: 0x44,
  truncate: 0x54,
  message: 0x4d,
  newRow: 0x4e,
  oldKey: 0x4b,
  oldRow: 0x4f,
} as const;

export interface Origin {
  readonly name: string;
  readonly lsn: bigint;
}

/** What was written with `pg_logical_emit_message`. */
export interface LogicalMessage {
  readonly prefix: string;
  readonly content: Buffer;
}

/** A table as the stream describes it, valid for the rows that follow. */
export interface Relation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly identity: ReplicaIdentity;
  readonly columns: readonly RelationColumn[];
}

export interface RelationColumn {
  readonly name: string;
  /** Oid and modifier of its type; a domain has an oid of its own here. */
  readonly type: number;
  readonly modifier: number;
  /** Part of the replica identity; every column is, if that is full. */
  readonly key: boolean;
  /** It was seen null in the stream, whatever the catalogue says of it now. */
  readonly nullable: boolean;
}

/** From Postgres' zero of time, 2000-01-01, to 1970. */
const EPOCH_MICROS = 946_684_800_000_000;

/**
 * The Begin and Commit messages of the transaction being read. LSNs are kept as words: transactions may
 * be of one row each, and a bigint is an object.
 */
export class Transaction {
  commitHigh = 0;
  commitLow = 0;
  /** Microseconds since 1970. */
  micros = 0;
  xid = 0;
  endHigh = 0;
  endLow = 0;

  begin({ bytes, start, end }: MessageRange): void {
    if (end - start !== 21) throw wrongSize('Begin');
    this.commitHigh = int32At(bytes, start + 1);
    this.commitLow = int32At(bytes, start + 5);
    this.micros =
      int32At(bytes, start + 9) * 0x1_0000_0000 + (int32At(bytes, start + 13) >>> 0) + EPOCH_MICROS;
    this.xid = int32At(bytes, start + 17) >>> 0;
  }

  commit({ bytes, start, end }: MessageRange): void {
    if (end - start !== 26) throw wrongSize('Commit');
    this.endHigh = int32At(bytes, start + 10);
    this.endLow = int32At(bytes, start + 14);
  }
}

export interface MessageRange {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

function wrongSize(message: string): MillraceError {
  return new MillraceError('PROTOCOL_UNEXPECTED', `A ${message} message has another size.`, {
    expected: 'protocol version 1',
  });
}

export function parseOrigin(message: WireReader): Origin {
  const lsn = message.int64();
  return { lsn, name: message.cstring() };
}

/** A logical message; the content is a view. */
export function parseMessage(message: WireReader): LogicalMessage {
  message.uint8();
  message.int64();
  const prefix = message.cstring();
  return { prefix, content: message.slice(message.int32()) };
}

const IDENTITIES: Readonly<Record<string, ReplicaIdentity>> = {
  d: 'default',
  n: 'nothing',
  f: 'full',
  i: 'index',
};

export function parseRelation(message: WireReader): Relation {
  const oid = message.uint32();
  const schema = message.cstring();
  const name = message.cstring();
  const identity = IDENTITIES[String.fromCharCode(message.uint8())];
  if (identity === undefined) {
    throw new MillraceError('PROTOCOL_UNEXPECTED', 'A replica identity is not known.', {
      place: `${schema}.${name}`,
      expected: 'd, n, f or i',
    });
  }
  const columns = Array.from({ length: message.int16() }, (): RelationColumn => {
    const key = (message.uint8() & 1) === 1;
    return {
      name: message.cstring(),
      type: message.uint32(),
      modifier: message.int32(),
      key,
      nullable: false,
    };
  });
  return { oid, schema: schema === '' ? 'pg_catalog' : schema, name, identity, columns };
}

/** Oids of the tables that one TRUNCATE emptied together. */
export function parseTruncate(message: WireReader): number[] {
  const count = message.int32();
  message.uint8();
  return Array.from({ length: count }, () => message.uint32());
}
