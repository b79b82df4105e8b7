import {
  offset,
  type Broker,
  type RecordBatch,
  topicName,
  type TopicName,
  type TopicPartition,
} from '../../broker/broker.ts';
import { OutgoingBuffer } from '../../broker/outgoing-buffer.ts';
import { pack, RecordCursor } from '../../broker/records.ts';
import {
  type ChangeBatch,
  type Connector,
  position,
  type Position,
} from '../../connectors/connector.ts';
import type { Processor } from '../../processors/processor.ts';
import type { Sink } from '../../sinks/sink.ts';

/** The smallest real implementations of the ports, for tests of what runs between them. */

const POSITION_DIGITS = 8;

export const positionOf = (number: number): Position =>
  position(String(number).padStart(POSITION_DIGITS, '0'));

/**
 * A source whose history is the numbers from 1 to `last`, one batch each; then it waits for the abort,
 * as a database does. Its memory of what was acknowledged outlives a crash of the pipeline.
 */
export class NumbersSource {
  readonly acked: Position[] = [];
  /** Where each life has begun; null for the beginning. */
  readonly begun: (Position | null)[] = [];
  readonly topic: TopicName;
  readonly last: number;
  /** Called before a number is delivered: to fail, or to wait. */
  before: (number: number, signal: AbortSignal) => void | Promise<void> = () => {};
  /** Called at each acknowledgement. */
  acknowledged: (position: Position) => void | Promise<void> = () => {};

  constructor(table: string, last: number) {
    this.topic = topicName('shop', table);
    this.last = last;
  }

  connect(): Connector {
    const changes = this.#changes.bind(this);
    return {
      changes,
      plan: () => Promise.resolve([]),
      ack: async (reached) => {
        await this.acknowledged(reached);
        this.acked.push(reached);
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  async *#changes(after: Position | null, signal: AbortSignal): AsyncIterable<ChangeBatch> {
    this.begun.push(after);
    for (let number = Number(after ?? 0) + 1; number <= this.last; number++) {
      if (signal.aborted) return;
      await this.before(number, signal);
      const committedAt = Date.now();
      const key = Buffer.from(String(number));
      const records = pack([{ key, value: key, timestamp: committedAt, op: 'c', version: 1n }]);
      const partition = number % 2;
      yield {
        outgoing: [{ topic: this.topic, partition, records }],
        position: positionOf(number),
        changes: 1,
        committedAt,
      };
    }
    if (!signal.aborted) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    }
  }
}

/** Copies each record to the topic with `.changes` after its name. */
export function copier(opened: TopicPartition[] = []): Processor {
  const buffer = new OutgoingBuffer();
  return {
    async open({ topic, partition }, topics) {
      opened.push({ topic, partition });
      const changes = topicName(topic, 'changes');
      for await (const _ of topics.read({ topic: changes, partition }));
    },
    process(batches) {
      buffer.reset();
      for (const { topic, partition, segments } of batches) {
        const writer = buffer.writer(topicName(topic, 'changes'), partition);
        for (const { bytes } of segments) {
          const cursor = new RecordCursor(bytes);
          while (cursor.next()) writer.copy(cursor);
        }
      }
      const consumed = batches.map((batch) => batch.consumed);
      return Promise.resolve({ outgoing: buffer.outgoing(), consumed, more: false, paused: [] });
    },
    close: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** A table and its ledger, changed together; they outlive the sinks opened on them. */
export class NumbersTable {
  readonly rows: number[] = [];
  readonly #ledger = new Map<string, number>();
  /** Called before a write: to fail, or to wait. */
  before: (signal: AbortSignal) => void | Promise<void> = () => {};
  /** Called after one, before the loop hears of it. */
  written: () => void = () => {};

  open(): Sink {
    return {
      open: (partitions) =>
        Promise.resolve(
          partitions.flatMap((partition) => {
            const next = this.#ledger.get(name(partition));
            return next === undefined ? [] : [{ ...partition, next: offset(next) }];
          }),
        ),
      write: async (batches, signal) => {
        await this.before(signal);
        const numbers = batches.flatMap(valuesOf);
        this.rows.push(...numbers);
        for (const { consumed } of batches) this.#ledger.set(name(consumed), consumed.next);
        this.written();
        return {
          changes: numbers.length,
          rows: numbers.length,
          committedAt: Date.now(),
          refused: [],
        };
      },
      parked: () => Promise.resolve([]),
      resume: () => Promise.resolve(),
      rebuild: () => Promise.reject(new Error('a list of numbers is not rebuilt')),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }
}

/** All numbers in a topic, in the order of partitions and offsets. */
export async function numbersIn(broker: Broker, topic: TopicName): Promise<number[]> {
  const found: number[] = [];
  const signal = new AbortController().signal;
  for (const partition of [0, 1]) {
    for await (const batch of broker.read({ topic, partition, next: offset(0) }, signal)) {
      found.push(...valuesOf(batch));
    }
  }
  return found;
}

function valuesOf({ segments }: Pick<RecordBatch, 'segments'>): number[] {
  const found: number[] = [];
  for (const { bytes } of segments) {
    const cursor = new RecordCursor(bytes);
    while (cursor.next()) found.push(Number(cursor.value()?.toString()));
  }
  return found;
}

function name({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
