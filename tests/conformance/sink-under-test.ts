import type { ChildProcess } from 'node:child_process';
import type { RecordBatch } from '../../broker/broker.ts';
import type { PlainRecord } from '../../broker/records.ts';
import type { EmbeddedRegistry } from '../../schemas/embedded-registry.ts';
import type { ColumnShape, TableShape } from '../../schemas/envelope.ts';
import type { Policy } from '../../sinks/evolution.ts';
import type { TableOptions } from '../../sinks/target.ts';
import type { ParkedTable, Sink, Written } from '../../sinks/sink.ts';
import {
  batchOf,
  memoryRegistry,
  TableChangesBuilder,
  type TestChange,
} from '../support/changes.ts';

/** What a test asks of a sink; the topics' prefix is `shop`, the pipeline `conformance`. */
export interface SinkOptions {
  readonly registry: EmbeddedRegistry;
  readonly mode?: 'merge' | 'append';
  readonly delete?: 'hard' | 'soft';
  readonly evolution?: Policy;
  readonly tables?: Readonly<Record<string, TableOptions>>;
}

/** A place of its own that sinks write to. */
export interface SinkTarget extends AsyncDisposable {
  /** Another sink on the same target. */
  sink(options: SinkOptions): Sink;
  /** Columns of a table's rows as text, sorted; null where the value is NULL. Throws if there is no table. */
  rows(table: string, columns: readonly string[]): Promise<(string | null)[][]>;
  /** Names of all tables but the sink's own. */
  tables(): Promise<string[]>;
  /** Starts `writeForever` in a process of its own on the target, which no sink has open. */
  startWriter(): ChildProcess;
}

export interface SinkFactory {
  target(): Promise<SinkTarget>;
}

export const SIGNAL = new AbortController().signal;

const ORDERS: readonly ColumnShape[] = [
  { name: 'id', type: { kind: 'int32' }, optional: false },
  { name: 'a', type: { kind: 'string' }, optional: true },
  { name: 'b', type: { kind: 'int64' }, optional: true },
];

export function ordersShape(more: readonly ColumnShape[] = [], key = ['id']): TableShape {
  return { topic: 'shop.public.orders', columns: [...ORDERS, ...more], key };
}

/** One sink with one table, written to by a test offset after offset. */
export class SinkUnderTest implements AsyncDisposable {
  readonly target: SinkTarget;
  readonly registry: EmbeddedRegistry;
  readonly options: SinkOptions;
  orders: TableChangesBuilder;
  sink: Sink;
  readonly #next = new Map<number, number>();

  private constructor(target: SinkTarget, options: SinkOptions, orders: TableChangesBuilder) {
    this.target = target;
    this.options = options;
    this.registry = options.registry;
    this.orders = orders;
    this.sink = target.sink(options);
  }

  static async open(
    factory: SinkFactory,
    options: Omit<SinkOptions, 'registry'> & { shape?: TableShape; partitions?: number } = {},
  ): Promise<SinkUnderTest> {
    const registry = memoryRegistry();
    const { shape = ordersShape(), partitions = 1, ...rest } = options;
    await registry.setCompatibility(`${shape.topic}.changes-value`, 'NONE');
    await registry.setCompatibility(`${shape.topic}.changes-key`, 'NONE');
    const orders = await TableChangesBuilder.register(shape, registry);
    const under = new SinkUnderTest(await factory.target(), { registry, ...rest }, orders);
    await under.takeOver(partitions);
    return under;
  }

  async takeOver(partitions = 1): Promise<readonly (number | undefined)[]> {
    const { topic } = this.orders;
    const wanted = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
    const found = await this.sink.open(wanted);
    return wanted.map(({ partition }) => found.find((one) => one.partition === partition)?.next);
  }

  /** The next batch of a partition. */
  batch(changes: readonly TestChange[], partition = 0, segmentRecords = 3): RecordBatch {
    return this.batchOfRecords(
      changes.map((change) => this.orders.record(change)),
      partition,
      segmentRecords,
    );
  }

  batchOfRecords(records: readonly PlainRecord[], partition = 0, segmentRecords = 3): RecordBatch {
    const base = this.#next.get(partition) ?? 0;
    this.#next.set(partition, base + records.length);
    return batchOf(records, { topic: this.orders.topic, partition, base, segmentRecords });
  }

  write(changes: readonly TestChange[], partition = 0): Promise<Written> {
    return this.sink.write([this.batch(changes, partition)], SIGNAL);
  }

  /** Writes records and expects that their table is parked for it. */
  async refused(records: readonly PlainRecord[]): Promise<ParkedTable> {
    const { changes, refused } = await this.sink.write([this.batchOfRecords(records)], SIGNAL);
    const [table] = refused;
    if (changes !== 0 || table === undefined) throw new Error('the table was not refused');
    return table;
  }

  rows(...columns: string[]): Promise<(string | null)[][]> {
    return this.target.rows('public.orders', columns);
  }

  tables(): Promise<string[]> {
    return this.target.tables();
  }

  /** Closes the sink and opens another one on the same target. */
  async reopen(): Promise<readonly (number | undefined)[]> {
    await this.sink[Symbol.asyncDispose]();
    this.sink = this.target.sink(this.options);
    return this.takeOver(this.#next.size || 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sink[Symbol.asyncDispose]();
    await this.target[Symbol.asyncDispose]();
    await this.registry[Symbol.asyncDispose]();
  }
}
