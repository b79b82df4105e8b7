import {
  offset,
  topicName,
  type Broker,
  type Outgoing,
  type TopicSettings,
} from '../broker/broker.ts';
import { pack, RecordCursor } from '../broker/records.ts';
import { position, type Position } from '../connectors/connector.ts';
import { MillraceError } from '../errors.ts';

const topic = topicName('__millrace', 'positions');

/** The topic that holds the newest position of each source; its key is the pipeline's name. */
export const positionsTopic: TopicSettings = {
  topic,
  partitions: 1,
  cleanup: 'compact',
  retentionMs: null,
  retentionBytes: null,
  tombstoneRetentionMs: 7 * 86_400_000,
};

export interface PositionsOptions {
  readonly startOver?: boolean;
  /** The tables that the pipeline captures now, as `schema.table`. */
  readonly tables?: readonly string[];
}

const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));

/**
 * How far a source has been published, and which tables it captured. The position travels in the same publish as the records it
 * stands for, so after a crash both are there or neither is (I1, I5).
 */
export class Positions {
  readonly #broker: Broker;
  readonly #pipeline: string;
  readonly #key: Buffer;
  readonly #tablesKey: Buffer;
  readonly #tables: readonly string[];
  #last: Position | null = null;
  #startOver: boolean;
  #tablesPublished = false;

  /** With `startOver`, the first reading finds nothing: an explicit reset (I2). */
  constructor(
    broker: Broker,
    pipeline: string,
    { startOver = false, tables = [] }: PositionsOptions = {},
  ) {
    this.#startOver = startOver;
    this.#broker = broker;
    this.#pipeline = pipeline;
    this.#key = Buffer.from(pipeline);
    this.#tablesKey = Buffer.from(`${pipeline}/tables`);
    this.#tables = tables;
  }

  get last(): Position | null {
    return this.#last;
  }

  /** The newest position published; null if there is none: then a snapshot is due. */
  async read(signal: AbortSignal): Promise<Position | null> {
    if (this.#startOver) return null;
    const found = await this.#newest(this.#key, signal);
    this.#last = null;
    if (found === null) return null;
    if (typeof found['position'] !== 'string') throw this.#malformed();
    return (this.#last = position(found['position']));
  }

  /** The tables that no earlier run has captured: their rows are on no topic. */
  async newTables(signal: AbortSignal): Promise<string[]> {
    const known = (await this.#newest(this.#tablesKey, signal))?.['tables'] ?? [];
    if (!Array.isArray(known)) throw this.#malformed();
    return this.#tables.filter((table) => !known.includes(table));
  }

  /** The record to publish with the batch that reaches `reached`. */
  record(reached: Position, now: number = Date.now()): Outgoing {
    // I2: a source never goes back behind what is durable.
    if (this.#last !== null && reached < this.#last) {
      throw new MillraceError('PROTOCOL_UNEXPECTED', 'the source went back in its history', {
        place: `position ${reached}`,
        expected: `a position not before ${this.#last}`,
      });
    }
    const records = [{ key: this.#key, value: json({ position: reached }), timestamp: now }];
    if (!this.#tablesPublished) {
      const value = json({ tables: this.#tables });
      records.push({ key: this.#tablesKey, value, timestamp: now });
    }
    return { topic, partition: 0, records: pack(records) };
  }

  /** To be called when the record was published: only then is it durable. */
  published(reached: Position): void {
    this.#last = reached;
    this.#startOver = false;
    this.#tablesPublished = true;
  }

  async #newest(
    key: Buffer,
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, unknown>> | null> {
    let found: Buffer | null = null;
    const from = { topic, partition: 0, next: offset(0) };
    for await (const { segments } of this.#broker.read(from, signal)) {
      for (const { bytes } of segments) {
        const cursor = new RecordCursor(bytes);
        while (cursor.next()) if (cursor.key()?.equals(key) === true) found = cursor.value();
      }
    }
    signal.throwIfAborted();
    return found === null ? null : this.#parse(found);
  }

  #parse(value: Buffer): Readonly<Record<string, unknown>> {
    let parsed: unknown;
    try {
      parsed = JSON.parse(value.toString());
    } catch (cause) {
      throw this.#malformed(cause);
    }
    if (typeof parsed !== 'object' || parsed === null) throw this.#malformed();
    return parsed as Readonly<Record<string, unknown>>;
  }

  #malformed(cause?: unknown): MillraceError {
    return new MillraceError('BROKER_CORRUPT', 'the position of the source cannot be read', {
      place: `topic ${topic}, key ${this.#pipeline}`,
      expected: '{"position": "…"} or {"tables": […]}',
      cause,
    });
  }
}
