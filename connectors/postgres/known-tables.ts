import { unexpected } from './stream-message.ts';
import type { TableEncoder } from './table-encoder.ts';

/** The tables that a stream has described; null for one that is not captured. */
export class KnownTables {
  readonly #tables = new Map<number, TableEncoder | null>();
  #lastOid = -1;
  #lastTable: TableEncoder | null = null;

  define(oid: number, table: TableEncoder | null): void {
    this.#tables.set(oid, table);
    this.#lastOid = -1;
  }

  /** Throws `PROTOCOL_UNEXPECTED` if the stream has not described it. */
  find(oid: number): TableEncoder | null {
    if (oid === this.#lastOid) return this.#lastTable;
    const table = this.#tables.get(oid);
    if (table === undefined) throw unexpected('A change came before its table was described.');
    this.#lastOid = oid;
    this.#lastTable = table;
    return table;
  }
}
