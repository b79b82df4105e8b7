import type { TopicName } from '../broker/broker.ts';
import type { ErrorCode, MillraceError } from '../errors.ts';
import type { Ledger } from './ledger.ts';
import type { Session } from './session.ts';
import type { ParkedTable } from './sink.ts';
import { literal } from './sql.ts';

/**
 * Which tables take no changes and why, in a table beside the ledger (I4): a worker that starts later
 * leaves them alone as well.
 */
export class ParkedTables {
  readonly #session: Session;
  readonly #table: string;
  readonly #pipeline: string;
  readonly #ledger: Ledger;

  constructor(session: Session, at: { table: string; pipeline: string; ledger: Ledger }) {
    this.#session = session;
    this.#table = at.table;
    this.#pipeline = at.pipeline;
    this.#ledger = at.ledger;
  }

  async create(): Promise<void> {
    await this.#session.run(
      `CREATE TABLE IF NOT EXISTS ${this.#table} (pipeline VARCHAR, topic VARCHAR, target VARCHAR,` +
        ' code VARCHAR, message VARCHAR, place VARCHAR, expected VARCHAR, remedy VARCHAR, parked_at BIGINT)',
    );
  }

  async all(): Promise<ParkedTable[]> {
    const rows = await this.#session.rows(
      `SELECT topic, target, code, message, place, expected, remedy, parked_at FROM ${this.#table}` +
        ` WHERE pipeline = ${literal(this.#pipeline)} ORDER BY topic`,
    );
    const found: ParkedTable[] = [];
    for (const [topic, target, code, message, place, expected, remedy, at] of rows) {
      found.push({
        topic: topic as TopicName,
        table: String(target),
        code: code as ErrorCode,
        message: String(message),
        place: place as string | null,
        expected: expected as string | null,
        remedy: String(remedy),
        parkedAt: Number(at),
        partitions: await this.#ledger.partitions(topic as TopicName),
      });
    }
    return found;
  }

  async park(
    table: { readonly topic: TopicName; readonly name: string },
    { code, message, place, expected, remedy }: MillraceError,
    now: number,
  ): Promise<void> {
    const { topic, name } = table;
    const texts = [this.#pipeline, topic, name, code, message, place, expected, remedy];
    const values = texts.map((text) => (text === undefined ? 'NULL' : literal(text)));
    await this.#session.run(
      `${this.#delete(topic)}; INSERT INTO ${this.#table} VALUES (${values.join(', ')}, ${now})`,
    );
  }

  async resume(topic: TopicName): Promise<void> {
    await this.#session.run(this.#delete(topic));
  }

  #delete(topic: TopicName): string {
    return `DELETE FROM ${this.#table} WHERE pipeline = ${literal(this.#pipeline)} AND topic = ${literal(topic)}`;
  }
}
