import type { RecordCursor } from '../../broker/records.ts';
import { MillraceError } from '../../errors.ts';
import type { Departure } from './departures.ts';

/** The insert of a row that came from another partition and lacks columns. */
export class Arrival {
  /** The delete that it left there, whose row it asks for. */
  departure: Departure = { partition: 0, version: 0n, timestamp: 0 };
  /** That delete, null if there is none; undefined before it was looked for. */
  #lent: RecordCursor | null | undefined = undefined;

  /** For the record that is given again next. */
  lend(row: RecordCursor | null): void {
    this.#lent = row;
  }

  /** What was lent for the record, whose header `millrace.oldpartition` has been found. */
  row(cursor: RecordCursor): RecordCursor | null | undefined {
    if (this.#lent === undefined) this.departure = departureOf(cursor);
    return this.#lent;
  }

  /** The record was taken. */
  done(): void {
    this.#lent = undefined;
  }
}

function departureOf(cursor: RecordCursor): Departure {
  const { bytes, headerStart, headerLength, version, timestamp } = cursor;
  const text = bytes.toString('latin1', headerStart, headerStart + Math.max(headerLength, 0));
  if (!/^\d{1,9}$/.test(text)) {
    throw new MillraceError('RECORD_MALFORMED', 'the partition that a row came from is not one', {
      expected: 'header millrace.oldpartition: a whole number as text',
    });
  }
  return { partition: Number(text), version, timestamp };
}
