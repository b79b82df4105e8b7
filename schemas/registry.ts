import type { AvroSchema } from './avro.ts';

/**
 * Schemas by id and by subject, as a Confluent registry has them. Ids are never reused and a schema
 * never changes, so callers may keep what they got for ever.
 */
export interface SchemaRegistry extends AsyncDisposable {
  /**
   * The id of a schema under a subject, registering it if it is new there. Equal schemas get one id.
   * Throws `SCHEMA_INCOMPATIBLE` if the subject's compatibility rule refuses it; nothing changed then.
   */
  register(subject: string, schema: AvroSchema): Promise<number>;

  /** Throws `SCHEMA_UNKNOWN` if there is none. */
  byId(id: number): Promise<AvroSchema>;
}

/** Confluent wire format: magic byte 0, then the schema id as 4 bytes, big-endian. */
export const WIRE_HEADER_BYTES = 5;

export function wireHeader(id: number): Buffer {
  const header = Buffer.alloc(WIRE_HEADER_BYTES);
  header.writeUInt32BE(id, 1);
  return header;
}
