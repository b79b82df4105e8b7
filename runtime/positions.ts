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

/**
 * How far a source has been published. The position travels in the same publish as the records it
 * stands for, so after a crash both are there or neither is (I1, I5).
 */
export class Positions {
  readonly #broker: Broker;
  readonly #pipeline: string;
  readonly #key: Buffer;
  #last: Position | null = null;
  #startOver: boolean;

  /** With `startOver`, the first reading finds nothing: an explicit reset (I2). */
  constructor(broker: Broker, pipeline: string, startOver = false) {
    this.#startOver = startOver;
    this.#broker = broker;
    this.#pipeline = pipeline;
    this.#key = Buffer.from(pipeline);
  }

  get last(): Position | null {
    return this.#last;
  }

  /** The newest position published; null if there is none: then a snapshot is due. */
  async read(signal: AbortSignal): Promise<Position | null> {
    if (this.#startOver) return null;
    let found: Position | null = null;
    const from = { topic, partition: 0, next: offset(0) };
    for await (const { segments } of this.#broker.read(from, signal)) {
      for (const { bytes } of segments) {
        const cursor = new RecordCursor(bytes);
        while (cursor.next()) {
          if (cursor.key()?.equals(this.#key) === true) found = this.#parse(cursor.value());
        }
      }
    }
    signal.throwIfAborted();
    this.#last = found;
    return found;
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
    const value = Buffer.from(JSON.stringify({ position: reached }));
    return { topic, partition: 0, records: pack([{ key: this.#key, value, timestamp: now }]) };
  }

  /** To be called when the record was published: only then is it durable. */
  published(reached: Position): void {
    this.#last = reached;
    this.#startOver = false;
  }

  #parse(value: Buffer | null): Position | null {
    if (value === null) return null;
    let parsed: unknown;
    try {
      parsed = JSON.parse(value.toString());
    } catch (cause) {
      throw this.#malformed(cause);
    }
    if (typeof parsed === 'object' && parsed !== null && 'position' in parsed) {
      if (typeof parsed.position === 'string') return position(parsed.position);
    }
    throw this.#malformed();
  }

  #malformed(cause?: unknown): MillraceError {
    return new MillraceError('BROKER_CORRUPT', 'the position of the source cannot be read', {
      place: `topic ${topic}, key ${this.#pipeline}`,
      expected: '{"position": "…"}',
      cause,
    });
  }
}
