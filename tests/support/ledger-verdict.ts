import { createHash } from 'node:crypto';
import type { Client } from 'pg';
import { type Broker, offset, topicName } from '../../broker/broker.ts';
import { RecordCursor } from '../../broker/records.ts';
import type { SchemaRegistry } from '../../schemas/registry.ts';
import { ChangeDecoder } from './change-records.ts';
import { ledgerTables } from './ledger-schema.ts';

/** What the ledger and the `.changes` topics say of each other. */
export interface ChangesVerdict {
  /** Entries of the ledger, and records of `.changes` that are not rows of the snapshot. */
  readonly committed: number;
  readonly delivered: number;
  readonly snapshotRows: number;
  /** The first differences in words; none if every committed change is there once, in order per key. */
  readonly wrong: readonly string[];
}

const WRONG_MAX = 10;

/**
 * Reads all `.changes` of a pipeline that does not run and holds them against the ledger: the changes of
 * each key must be those committed, each once, in the order of their commits, with the row they made,
 * and between the same truncates.
 */
export async function ledgerVerdict(
  client: Client,
  { opened, pipeline, partitions }: LedgerTopics,
): Promise<ChangesVerdict> {
  const decoder = new ChangeDecoder(opened.registry);
  const wrong: string[] = [];
  let [committed, delivered, snapshotRows] = [0, 0, 0];
  for (const table of ledgerTables) {
    const name = table.replace('public.', '');
    const expected = await ledgerOf(client, name);
    committed += expected.count;
    const found = new Changes(expected, name, wrong);
    const topic = topicName(pipeline, table, 'changes');
    for (let partition = 0; partition < partitions; partition++) {
      const { signal } = new AbortController();
      found.beginPartition();
      for await (const batch of opened.broker.read({ topic, partition, next: offset(0) }, signal)) {
        for (const { bytes } of batch.segments) {
          const cursor = new RecordCursor(bytes);
          while (cursor.next()) {
            const { op, row } = await decoder.decode(cursor);
            found.add(op, row);
          }
        }
      }
      found.endPartition(partition);
    }
    found.end();
    delivered += found.delivered;
    snapshotRows += found.snapshotRows;
  }
  return { committed, delivered, snapshotRows, wrong };
}

export interface LedgerTopics {
  readonly opened: { readonly broker: Broker; readonly registry: SchemaRegistry };
  readonly pipeline: string;
  readonly partitions: number;
}

interface Entry {
  readonly op: string;
  readonly rev: number;
  /** Of the body; null if it is null. */
  readonly digest: string | null;
  /** How many truncates of the table came before. */
  readonly epoch: number;
}

interface Ledger {
  readonly keys: Map<string, Entry[]>;
  readonly truncates: number;
  readonly count: number;
}

async function ledgerOf(client: Client, table: string): Promise<Ledger> {
  const { rows } = await client.query<
    Record<'op' | 'rev', string> & Record<'key' | 'digest', string | null>
  >('SELECT op, key, rev, digest FROM ledger.entries WHERE tab = $1 ORDER BY seq', [table]);
  const keys = new Map<string, Entry[]>();
  let truncates = 0;
  for (const { op, key, rev, digest } of rows) {
    if (op === 't') {
      truncates++;
      continue;
    }
    // A row without a key is only itself: its own `rev` stands for one.
    const name = key ?? `rev ${rev}`;
    const entry = { op, rev: Number(rev), digest, epoch: truncates };
    const known = keys.get(name);
    if (known === undefined) keys.set(name, [entry]);
    else known.push(entry);
  }
  return { keys, truncates, count: rows.length - truncates };
}

class Changes {
  delivered = 0;
  snapshotRows = 0;
  readonly #ledger: Ledger;
  readonly #table: string;
  readonly #wrong: string[];
  /** How many entries of each key have come. */
  readonly #seen = new Map<string, number>();
  readonly #known = new Set<string>();
  #epoch = 0;

  constructor(ledger: Ledger, table: string, wrong: string[]) {
    this.#ledger = ledger;
    this.#table = table;
    this.#wrong = wrong;
  }

  beginPartition(): void {
    this.#epoch = 0;
  }

  add(op: string, row: Readonly<Record<string, unknown>> | null): void {
    if (op === 't') {
      this.#epoch++;
      return;
    }
    const key = keyOf(this.#table, row);
    if (op === 'r') {
      this.snapshotRows++;
      this.#known.add(key);
      return;
    }
    this.delivered++;
    const at = this.#seen.get(key) ?? 0;
    this.#seen.set(key, at + 1);
    const entry = this.#ledger.keys.get(key)?.[at];
    if (entry === undefined) return this.#say(`${key}: ${op} was never committed, or came twice`);
    const known = this.#known.has(key);
    // A row that the snapshot has is known already, so what creates it here is an update of it.
    const named = op === entry.op || (known && op === 'u' && entry.op === 'c');
    const digest = row?.['body'] === undefined ? entry.digest : md5(row['body'] as string | null);
    const rev = row?.['rev'] === undefined ? entry.rev : Number(row['rev']);
    if (named && rev === entry.rev && digest === entry.digest && this.#epoch === entry.epoch)
      return;
    this.#say(
      `${key}: change ${at} is ${op} of rev ${rev} after ${this.#epoch} truncates` +
        `${digest === entry.digest ? '' : ' with another body'}; ` +
        `committed was ${entry.op} of rev ${entry.rev} after ${entry.epoch}`,
    );
  }

  endPartition(partition: number): void {
    const { truncates } = this.#ledger;
    if (this.#epoch === truncates) return;
    this.#say(`partition ${partition} has ${this.#epoch} truncates; committed were ${truncates}`);
  }

  end(): void {
    for (const [key, entries] of this.#ledger.keys) {
      const came = this.#seen.get(key) ?? 0;
      if (came < entries.length) this.#say(`${key}: ${came} of ${entries.length} changes came`);
    }
  }

  #say(what: string): void {
    if (this.#wrong.length < WRONG_MAX) this.#wrong.push(`${this.#table} ${what}`);
  }
}

function keyOf(table: string, row: Readonly<Record<string, unknown>> | null): string {
  switch (table) {
    case 'moves':
      return `${String(row?.['area'])}/${String(row?.['slot'])}`;
    case 'events':
      return `rev ${String(row?.['rev'])}`;
    default:
      return String(row?.['id']);
  }
}

function md5(text: string | null): string | null {
  return text === null ? null : createHash('md5').update(text).digest('hex');
}
