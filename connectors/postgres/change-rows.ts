import { LETTER } from './pgoutput.ts';
import { unexpected, type StreamMessage } from './stream-message.ts';
import { NULL, Tuple } from './tuple.ts';

/** The rows of the change that is being read; one object for a whole stream. */
export class ChangeRows {
  readonly row = new Tuple();
  readonly old = new Tuple();

  /** Reads an Insert, Update or Delete; whether there is an old row. */
  read({ bytes, start, end }: StreamMessage): boolean {
    let at = start + 5;
    const first = bytes[at];
    const hasOld = first === LETTER.oldRow || first === LETTER.oldKey;
    if (hasOld) {
      this.old.full = first === LETTER.oldRow;
      at = this.old.readMessage(bytes, at + 1, end);
    }
    if (bytes[start] !== LETTER.delete) {
      if (bytes[at] !== LETTER.newRow) throw unexpected('A change came without its new row.');
      at = this.row.readMessage(bytes, at + 1, end);
    } else if (!hasOld) throw unexpected('A delete came without its old row.');
    if (at !== end) throw unexpected('A change is longer than its rows.');
    return hasOld;
  }

  /** Whether a column is null in a row that the change has. */
  isNull(column: number, letter: number | undefined): boolean {
    return (
      (letter !== LETTER.delete && this.row.kinds[column] === NULL) ||
      (this.old.full && letter !== LETTER.insert && this.old.kinds[column] === NULL)
    );
  }
}
