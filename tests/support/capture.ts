import { RecordCursor } from '../../broker/records.ts';
import type { ChangeBatch, Connector, Position } from '../../connectors/connector.ts';
import { decode, type MemoryRegistry } from './recorded-stream.ts';

/** A change as it came, with the position of its batch. */
export interface CapturedChange {
  readonly topic: string;
  readonly op: string;
  readonly version: bigint;
  /** JSON of the decoded key; null for a table without one. */
  readonly key: string | null;
  readonly before: Record<string, unknown> | null;
  readonly after: Record<string, unknown> | null;
  /** The whole value, decoded. */
  readonly value: Record<string, unknown>;
  readonly position: Position;
  /** JSON of the key that the row had before; null if it has not changed. */
  readonly oldKey: string | null;
}

/** Runs a connector and keeps all that it delivers. */
export class Capture {
  readonly changes: CapturedChange[] = [];
  readonly positions: Position[] = [];
  readonly registry: MemoryRegistry;

  constructor(registry: MemoryRegistry) {
    this.registry = registry;
  }

  /**
   * Takes batches until `done` says so after one of them, or the signal aborts. `published` stands for
   * the broker: it is awaited before the next batch is asked for.
   */
  async run(
    connector: Connector,
    from: {
      readonly after: Position | null;
      readonly done: (batch: ChangeBatch) => boolean;
      readonly signal?: AbortSignal;
      readonly ack?: boolean;
      readonly published?: (batch: ChangeBatch) => Promise<void>;
    },
  ): Promise<void> {
    const signal = from.signal ?? AbortSignal.timeout(50_000);
    for await (const batch of connector.changes(from.after, signal)) {
      this.add(batch);
      await from.published?.(batch);
      if (from.ack ?? true) await connector.ack(batch.position);
      if (from.done(batch)) return;
    }
    if (from.signal === undefined) throw new Error('the changes ended before the test was done');
  }

  add(batch: ChangeBatch): void {
    this.positions.push(batch.position);
    for (const { topic, records } of batch.outgoing) {
      const cursor = new RecordCursor(records.written());
      while (cursor.next()) {
        const value = cursor.value();
        if (value === null) continue;
        const key = cursor.key();
        const decoded = decode(this.registry, value);
        const { before, after } = decoded;
        this.changes.push({
          topic,
          op: String.fromCharCode(cursor.op),
          version: cursor.version,
          key: key === null ? null : json(decode(this.registry, key)),
          before: before as CapturedChange['before'],
          after: after as CapturedChange['after'],
          value: decoded,
          position: batch.position,
          oldKey: cursor.header('__debezium.oldkey')?.toString() ?? null,
        });
      }
    }
  }

  get last(): Position {
    const last = this.positions.at(-1);
    if (last === undefined) throw new Error('nothing was captured');
    return last;
  }

  /** The table that the changes make: the newest version of each key wins, a tie is the first. */
  table(): Map<string, string> {
    const newest = new Map<string, CapturedChange>();
    for (const change of this.changes) {
      if (change.key === null) continue;
      const known = newest.get(change.key);
      if (known === undefined || change.version > known.version) newest.set(change.key, change);
    }
    return new Map(
      [...newest]
        .filter(([, change]) => change.op !== 'd')
        .map(([key, { after }]) => [key, json(after)]),
    );
  }
}

/** As text to compare: bigints as numbers, bytes as base64. */
export function json(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (typeof each === 'bigint') return Number(each);
    return Buffer.isBuffer(each) ? each.toString('base64') : each;
  });
}

/** One after another, whatever the order of batches: what a change is, without where it came. */
export function essence({ topic, op, version, key }: CapturedChange): string {
  return `${topic} ${op} ${version} ${key}`;
}
