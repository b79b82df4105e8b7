import type { PlainRecord } from '../../broker/records.ts';
import type { ChangeRecords, DecodedChange, Row } from './change-records.ts';

/** What the source does next; what cannot be done to the keys there are is left out. */
export interface Step {
  readonly kind:
    | 'insert'
    | 'update'
    | 'delete'
    | 'move'
    | 'move-in'
    | 'move-out'
    | 'truncate'
    | 'schema';
  readonly id: number;
  readonly to: number;
  /** Which of the columns `note` and `body` are sent. */
  readonly sendsNote: boolean;
  readonly sendsBody: boolean;
}

interface Known {
  readonly value: unknown;
  /** The schema's type of the column when it was sent. */
  readonly type: string;
}

/** What a reader of the stream can know of a row, column by column. */
type KnownRow = ReadonlyMap<string, Known>;

const NOTE_TYPES = ['string', 'json'] as const;

/**
 * A table that is changed step by step: the records that a connector writes of it, and beside them, by
 * plain maps, what the compact stage must make of them.
 */
export class TableHistory {
  readonly records: PlainRecord[] = [];
  readonly changes: DecodedChange[] = [];
  readonly latest = new Map<string, { version: bigint; row: Row | null }>();
  readonly #schemas: readonly [ChangeRecords, ChangeRecords];
  readonly #live = new Set<number>();
  readonly #known = new Map<number, KnownRow>();
  #schema: 0 | 1 = 0;
  #version = 0n;

  /** The two schemas differ in the type of `note`, and the second has a column `extra`. */
  constructor(schemas: readonly [ChangeRecords, ChangeRecords], alreadyThere: readonly number[]) {
    this.#schemas = schemas;
    for (const id of alreadyThere) this.#live.add(id);
  }

  step(step: Step): void {
    const { id, to } = step;
    const isLive = this.#live.has(id);
    switch (step.kind) {
      case 'insert':
        if (!isLive) this.#upsert(step, { op: 'c', all: true, base: undefined });
        return;
      case 'update':
        if (isLive) this.#upsert(step, { op: 'u', all: false, base: this.#known.get(id) });
        return;
      case 'delete':
        if (isLive) this.#remove(step, undefined);
        return;
      case 'move':
        if (!isLive || this.#live.has(to)) return;
        this.#upsert(
          { ...step, id: to },
          { op: 'c', all: false, base: this.#remove(step, to), oldKey: id, sameVersion: true },
        );
        return;
      case 'move-in':
        if (!isLive)
          this.#upsert(step, { op: 'c', all: false, base: undefined, oldKey: 1000 + to });
        return;
      case 'move-out':
        if (isLive) this.#remove(step, 1000 + to);
        return;
      case 'truncate':
        this.#truncate();
        return;
      case 'schema':
        this.#schema = this.#schema === 0 ? 1 : 0;
        return;
      default:
        step.kind satisfies never;
    }
  }

  #upsert(
    { id, sendsNote, sendsBody }: Step,
    how: {
      readonly op: 'c' | 'u';
      readonly all: boolean;
      readonly base: KnownRow | undefined;
      readonly oldKey?: number;
      readonly sameVersion?: boolean;
    },
  ): void {
    if (how.sameVersion !== true) this.#version += 1n + BigInt(id % 3) * 0x4000_0000n;
    const sent = new Map<string, Known>([['id', { value: id, type: 'int32' }]]);
    if (how.all || sendsNote) sent.set('note', this.#value('note'));
    if (how.all || sendsBody) sent.set('body', this.#value('body'));
    if (this.#schema === 1 && how.all) sent.set('extra', this.#value('extra'));
    const known = this.#emit({ op: how.op, id, sent, base: how.base, oldKey: how.oldKey });
    this.#live.add(id);
    this.#known.set(id, known);
    this.latest.set(this.#key(id), { version: this.#version, row: rowOf(known) });
  }

  #remove({ id, sendsNote, sendsBody }: Step, newKey: number | undefined): KnownRow {
    this.#version += 3n;
    const sent = new Map<string, Known>([['id', { value: id, type: 'int32' }]]);
    if (sendsNote && sendsBody)
      for (const name of this.#columns()) if (name !== 'id') sent.set(name, this.#value(name));
    const known = this.#emit({ op: 'd', id, sent, base: this.#known.get(id), newKey });
    const { key, timestamp } = this.records.at(-1) as PlainRecord;
    this.records.push({ key, value: null, timestamp });
    this.#live.delete(id);
    this.#known.delete(id);
    this.latest.set(this.#key(id), { version: this.#version, row: null });
    return known;
  }

  #truncate(): void {
    this.#version += 2n;
    const version = this.#version;
    this.records.push(this.#schemas[this.#schema].record({ op: 't', version }));
    this.changes.push({ op: 't', version, key: null, row: null, headers: [] });
    for (const id of this.#known.keys()) this.latest.set(this.#key(id), { version, row: null });
    this.#known.clear();
    this.#live.clear();
  }

  #emit(event: {
    readonly op: 'c' | 'u' | 'd';
    readonly id: number;
    readonly sent: KnownRow;
    readonly base: KnownRow | undefined;
    readonly oldKey?: number | undefined;
    readonly newKey?: number | undefined;
  }): KnownRow {
    const { op, id, sent, base, oldKey, newKey } = event;
    const columns = this.#columns();
    const unchanged = columns.filter((name) => !sent.has(name));
    const known = new Map(sent);
    for (const name of unchanged) {
      const lent = base?.get(name);
      if (lent !== undefined && lent.type === this.#type(name)) known.set(name, lent);
    }
    const version = this.#version;
    this.records.push(
      this.#schemas[this.#schema].record({
        op,
        version,
        key: { id },
        row: Object.fromEntries(columns.map((name) => [name, sent.get(name)?.value ?? null])),
        ...(unchanged.length === 0 ? {} : { unchanged }),
        ...(oldKey === undefined ? {} : { oldKey: { id: oldKey } }),
        ...(newKey === undefined ? {} : { newKey: { id: newKey } }),
      }),
    );
    const headers = [
      ...(newKey === undefined ? [] : ['__debezium.newkey']),
      ...(oldKey === undefined ? [] : ['__debezium.oldkey']),
    ];
    this.changes.push({ op, version, key: this.#key(id), row: rowOf(known), headers });
    return known;
  }

  #columns(): readonly string[] {
    return this.#schema === 0 ? ['id', 'note', 'body'] : ['id', 'extra', 'note', 'body'];
  }

  #type(column: string): string {
    return column === 'note' ? NOTE_TYPES[this.#schema] : 'string';
  }

  #value(column: string): Known {
    const value = this.records.length % 5 === 0 ? null : `${column} ${this.records.length}`;
    return { value, type: this.#type(column) };
  }

  #key(id: number): string {
    return this.#schemas[0].keyBytes({ id }).subarray(5).toString('hex');
  }
}

function rowOf(known: KnownRow): Row {
  return Object.fromEntries([...known].map(([name, { value }]) => [name, value]));
}
