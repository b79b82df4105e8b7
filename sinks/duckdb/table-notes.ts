import type { TopicName } from '../../broker/broker.ts';
import type { Deletes, Mode, Table } from '../dialect.ts';
import { identifier as id, literal } from '../sql.ts';
import { targetName, type Target } from '../target.ts';
import { versionNumber, versionOf, type Version } from '../version.ts';
import { OWN_SCHEMA } from './dialect.ts';
import type { DuckdbSession } from './session.ts';

/** What is written down of a table besides its columns. */
export interface TableNote {
  readonly topic: TopicName;
  /** Null while there was only a truncate. */
  readonly mode: Mode | null;
  readonly deletes: Deletes;
  readonly key: readonly string[];
  /** Version of the newest truncate. */
  readonly truncated: Version | null;
  /** Columns that the source does not have any more. */
  readonly dropped: readonly string[];
  /** Newest version of the rows that said so. */
  readonly shaped: Version | null;
}

/** Begins the name of a table that is made beside the one whose place it will take. */
export const REBUILT_PREFIX = '_millrace_rebuild:';

/** `_millrace.tables`: the tables of a file with what they were made from. */
export class TableNotes {
  readonly #session: DuckdbSession;
  readonly #notes: string;

  constructor(session: DuckdbSession) {
    this.#session = session;
    this.#notes = `${id(session.catalog)}.${id(OWN_SCHEMA)}."tables"`;
  }

  async create(): Promise<void> {
    await this.#session.run(
      `CREATE TABLE IF NOT EXISTS ${this.#notes} (target VARCHAR, topic VARCHAR, mode VARCHAR,` +
        ' deletes VARCHAR, "key" VARCHAR[], truncated BIGINT);' +
        ` ALTER TABLE ${this.#notes} ADD COLUMN IF NOT EXISTS dropped VARCHAR[];` +
        ` ALTER TABLE ${this.#notes} ADD COLUMN IF NOT EXISTS shaped BIGINT`,
    );
  }

  /** By {@link noteName}. */
  async all(): Promise<Map<string, TableNote>> {
    const rows = await this.#session.rows(
      `SELECT target, topic, mode, deletes, "key", truncated, dropped, shaped FROM ${this.#notes}`,
    );
    return new Map(
      rows.map(([target, topic, mode, deletes, key, truncated, dropped, shaped]) => [
        String(target),
        {
          topic: topic as TopicName,
          mode: mode as Mode | null,
          deletes: deletes as Deletes,
          key: (key ?? []) as string[],
          truncated: version(truncated),
          dropped: (dropped ?? []) as string[],
          shaped: version(shaped),
        },
      ]),
    );
  }

  async write(target: Target, table: Table): Promise<void> {
    await this.#set(target, [
      `mode = ${literal(table.mode)}`,
      `deletes = ${literal(table.deletes)}`,
      `"key" = ${list(table.key)}`,
    ]);
  }

  async shape(target: Target, dropped: readonly string[], shaped: Version): Promise<void> {
    await this.#set(target, [`dropped = ${list(dropped)}`, `shaped = ${versionNumber(shaped)}`]);
  }

  async truncate(target: Target, at: Version): Promise<void> {
    await this.#set(target, [`truncated = ${versionNumber(at)}`]);
  }

  /** Takes a note over from another table. */
  async move(from: Target, to: Target): Promise<void> {
    await this.#session.run(
      `UPDATE ${this.#notes} SET target = ${literal(noteName(to))} WHERE ${isNoteOf(from)}`,
    );
  }

  /** Tables that were being made when a process ended, with their schemas, in lower case. */
  async unfinished(): Promise<{ schema: string; table: string }[]> {
    const rows = await this.#session.rows(
      `SELECT target FROM ${this.#notes} WHERE contains(target, ${literal(`.${REBUILT_PREFIX}`)})`,
    );
    return rows.map(([target]) => {
      const [schema = '', table = ''] = String(target).split(`.${REBUILT_PREFIX}`);
      return { schema, table: `${REBUILT_PREFIX}${table}` };
    });
  }

  async forget(target: Pick<Target, 'schema' | 'table'>): Promise<void> {
    await this.#session.run(`DELETE FROM ${this.#notes} WHERE ${isNoteOf(target)}`);
  }

  async #set(target: Target, changes: readonly string[]): Promise<void> {
    await this.#session.run(
      `INSERT INTO ${this.#notes} (target, topic) SELECT ${literal(noteName(target))}, ${literal(target.topic)}` +
        ` WHERE NOT EXISTS (SELECT 1 FROM ${this.#notes} WHERE ${isNoteOf(target)});` +
        ` UPDATE ${this.#notes} SET ${changes.join(', ')} WHERE ${isNoteOf(target)}`,
    );
  }
}

function version(value: unknown): Version | null {
  return value === null ? null : versionOf(BigInt(value as string));
}

function list(names: readonly string[]): string {
  return `[${names.map(literal).join(', ')}]::VARCHAR[]`;
}

function isNoteOf(target: Pick<Target, 'schema' | 'table'>): string {
  return `target = ${literal(noteName(target))}`;
}

/** What a table's note is found by. */
export function noteName(target: Pick<Target, 'schema' | 'table'>): string {
  return targetName(target).toLowerCase();
}
