import type { ChangeRows } from './change-rows.ts';
import type { KnownTables } from './known-tables.ts';
import { LETTER, parseTruncate } from './pgoutput.ts';
import { reader, type StreamMessage } from './stream-message.ts';
import type { TransactionOrder } from './transaction-order.ts';
import { int32At } from './types/type-codec.ts';

/** Counts the events of a change that was published before a restart. */
export function recount(
  message: StreamMessage,
  about: {
    readonly tables: KnownTables;
    readonly rows: ChangeRows;
    readonly order: TransactionOrder;
  },
): void {
  const { tables, rows, order } = about;
  const { bytes, start } = message;
  const letter = bytes[start];
  const oids =
    letter === LETTER.truncate ? parseTruncate(reader(message)) : [int32At(bytes, start + 1) >>> 0];
  for (const oid of oids) {
    const table = tables.find(oid);
    if (table === null) continue;
    const moved = letter === LETTER.update && rows.read(message) && table.moves(rows.old, rows.row);
    order.published(table.name, moved ? 2 : 1);
  }
}
