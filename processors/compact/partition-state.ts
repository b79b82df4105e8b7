import type { TopicPartition } from '../../broker/broker.ts';
import { recordPlace } from '../../broker/record-place.ts';
import { RecordCursor, RecordWriter, type Segment } from '../../broker/records.ts';
import { Accepted } from './accepted.ts';
import { Arrival } from './arrival.ts';
import { MOVED, NEW_KEY, OLD_KEY, OLD_PARTITION, TRUNCATED, UNCHANGED } from './headers.ts';
import { KeyChange } from './key-change.ts';
import { KeyHash } from '../../broker/key-hash.ts';
import { KeyTable, type RowPlace } from './key-table.ts';
import { malformed } from './malformed.ts';
import { RowBlock } from './row-block.ts';
import { writeTruncated } from './tombstone.ts';
import { Watermark } from './watermark.ts';
import type { Taken, Workshop } from './workshop.ts';

const CREATE = 'c'.charCodeAt(0);
const DELETE = 'd'.charCodeAt(0);
const TRUNCATE = 't'.charCodeAt(0);
const MESSAGE = 'm'.charCodeAt(0);

/**
 * One partition of a table: its keys with their versions and rows, and what to do about a record.
 *
 * Between {@link begin} and {@link finish} records go to `.changes` one by one. `finish` copies the newest
 * of each key to `.latest`, and appends all that `.changes` got to the row log as one block: so the place
 * of a row is known when it is taken, and an entry is touched once.
 */
export class PartitionState {
  readonly #shop: Workshop;
  /** Our number in the row log. */
  readonly #owner: number;
  readonly #table: KeyTable;
  readonly #hash = new KeyHash();
  readonly #cursor = new RecordCursor(Buffer.alloc(0));
  readonly #place: RowPlace = { segment: 0, offset: 0, length: 0 };
  readonly #accepted = new Accepted();
  readonly #keyChange = new KeyChange();
  readonly #block: RowBlock;
  #changes = new RecordWriter(0);
  #latest = new RecordWriter(0);
  readonly #truncated = new Watermark();
  /** How far a truncate that needs several calls has come. */
  #sweep = 0;
  /** After `moved`: asks for a delete, which is to be lent before the record is given again. */
  readonly arrival = new Arrival();
  /** Of this call: deletes written, and records of `.latest` from before it that it supersedes. */
  #deletes = 0;
  #supersedes = 0;

  constructor(shop: Workshop, owner: number) {
    this.#shop = shop;
    this.#owner = owner;
    this.#block = new RowBlock(shop.rows);
    this.#table = new KeyTable(shop.tombstoneRetentionMs);
  }

  get keys(): number {
    return this.#table.keys;
  }

  get bytes(): number {
    return this.#table.bytes;
  }

  /** Elapsed time in ms. */
  set now(now: number) {
    this.#table.now = Math.floor(now / 1000);
  }

  /** Bytes that this call has made so far. */
  get outgoingBytes(): number {
    return this.#changes.bytes + this.#latest.bytes;
  }

  /** How many records of `.latest` those of this call supersede. */
  get supersedes(): number {
    return this.#supersedes;
  }

  begin(changes: RecordWriter, latest: RecordWriter): void {
    this.#changes = changes;
    this.#latest = latest;
    this.#accepted.clear();
    this.#deletes = 0;
    this.#supersedes = 0;
    this.#block.begin(changes.bytes);
  }

  /** Takes a record of the raw topic. Throws `RECORD_MALFORMED`. */
  take(cursor: RecordCursor): Taken {
    const { counters } = this.#shop;
    if (cursor.valueLength < 0) {
      counters.tombstones++;
      return 'done';
    }
    if (cursor.op === MESSAGE) {
      counters.ignored++;
      return 'done';
    }
    if (!cursor.hasVersion) throw malformed('a record carries no operation and version');
    if (this.#truncated.covers(cursor)) {
      counters.stale++;
      return 'done';
    }
    if (cursor.op === TRUNCATE) return this.#truncate(cursor);
    if (cursor.keyLength >= 0) return this.#takeKeyed(cursor);
    if (cursor.headerCount > 0 && cursor.findHeader(UNCHANGED)) counters.stillPartial++;
    this.#changes.copy(cursor);
    counters.changes++;
    return 'done';
  }

  /**
   * Keeps the rows and answers what is to be published to `.latest`: the newest record of each key. Where
   * that is all of `.changes`, as in a snapshot, it is that very writer.
   */
  finish(): RecordWriter {
    const accepted = this.#accepted;
    const isAll =
      this.#latest.count === 0 &&
      accepted.count - accepted.superseded - this.#deletes === this.#changes.count;
    const newest = isAll ? this.#changes : this.#latest;
    const before = isAll ? 0 : newest.count;
    if (!isAll) accepted.publish(this.#changes, newest, this.#keyChange);
    this.#shop.counters.latest += newest.count - before;
    this.#keyChange.keep(this.#changes, this.#cursor);
    if (accepted.count > 0) {
      this.#block.append(this.#owner, this.#changes.out.bytes, this.#changes.bytes);
    }
    return newest;
  }

  /** Takes records of `.latest`: after all of them the state is what it was when they were published. */
  restore({ bytes, base }: Segment, at: TopicPartition): void {
    this.#block.begin(0);
    const cursor = new RecordCursor(bytes);
    while (cursor.next()) {
      if (cursor.keyLength < 0 || !cursor.hasVersion) {
        throw malformed(
          'a record that is not ours is in a topic of ours',
          recordPlace(at, base + cursor.delta),
        );
      }
      this.#restore(cursor);
    }
    this.#block.append(this.#owner, bytes, bytes.length);
  }

  /** Takes a row that the row log wants to move: appends it again if it is still some key's newest. */
  keep(cursor: RecordCursor, segment: number): void {
    if (cursor.keyLength < 0) return;
    const entry = this.#find(cursor);
    if (entry < 0) return;
    this.#table.row(entry, this.#place);
    if (this.#place.segment !== segment || this.#place.offset !== cursor.start) return;
    this.#block.begin(cursor.start);
    this.#table.setRow(entry, this.#block.claim(cursor.start, cursor.end));
    this.#block.append(this.#owner, cursor.bytes, cursor.end);
  }

  /** Gives up all rows in the row log. */
  release(): void {
    for (let entry = 0; entry < this.#table.entries; entry++) {
      this.#table.row(entry, this.#place);
      if (this.#place.segment >= 0) this.#shop.rows.release(this.#place);
    }
  }

  #restore(cursor: RecordCursor): void {
    const table = this.#table;
    const { versionHigh: high, versionLow: low } = cursor;
    let entry = this.#find(cursor);
    if (entry < 0) entry = table.add(this.#hash);
    else if (table.compare(entry, high, low) < 0) return;
    else this.#displace(entry);
    table.setVersion(entry, high, low);
    if (cursor.valueLength >= 0) {
      table.setRow(entry, this.#block.claim(cursor.start, cursor.end));
      return;
    }
    table.setTombstone(entry, -1);
    if (cursor.headerCount === 0) return;
    if (cursor.findHeader(TRUNCATED)) this.#truncated.raise(cursor);
    if (cursor.findHeader(MOVED)) this.#keyChange.restore(cursor);
  }

  #find(cursor: RecordCursor): number {
    return this.#table.find(this.#hash.ofKey(cursor.bytes, cursor.keyStart, cursor.keyLength));
  }

  #takeKeyed(cursor: RecordCursor): Taken {
    const { counters } = this.#shop;
    const table = this.#table;
    const { versionHigh: high, versionLow: low } = cursor;
    let entry = this.#find(cursor);
    // I3: what is not newer than the newest seen of its key is stale or a duplicate.
    if (entry >= 0 && table.compare(entry, high, low) <= 0) {
      counters.stale++;
      return 'done';
    }
    const start = this.#changes.bytes;
    if (cursor.headerCount === 0) this.#changes.copy(cursor);
    else {
      const taken = this.#writeWhole(cursor, entry);
      if (taken !== 'done') return taken;
    }
    counters.changes++;
    if (entry < 0) entry = table.add(this.#hash);
    else this.#displace(entry);
    table.setVersion(entry, high, low);
    if (cursor.op === DELETE) {
      table.setTombstone(entry, this.#accepted.count);
      this.#deletes++;
    } else table.setRow(entry, this.#block.claim(start, this.#changes.bytes));
    this.#accepted.add(entry, start);
    const moves = cursor.op === DELETE && cursor.headerCount > 0 && cursor.findHeader(NEW_KEY);
    if (moves) this.#keyChange.begin(cursor, start);
    else this.#keyChange.passed();
    return 'done';
  }

  /** Writes a record that has headers to `.changes`. */
  #writeWhole(cursor: RecordCursor, entry: number): Taken {
    if (!cursor.findHeader(UNCHANGED)) {
      this.#changes.copy(cursor);
      return 'done';
    }
    const { whole, counters } = this.#shop;
    const row = this.#lastRow(cursor, entry);
    if (row === undefined) return 'moved';
    const wholeness = whole.write(cursor, row, this.#changes);
    if (wholeness === 'schema-unknown') return wholeness;
    this.arrival.done();
    if (wholeness === 'whole') counters.madeWhole++;
    else counters.stillPartial++;
    return 'done';
  }

  /**
   * The record that holds the last row that this one is a change of; null if nobody knows it, undefined
   * if another partition does.
   */
  #lastRow(cursor: RecordCursor, entry: number): RecordCursor | null | undefined {
    if (cursor.op === CREATE && cursor.findHeader(OLD_PARTITION)) {
      return this.arrival.row(cursor);
    }
    if (cursor.op === CREATE && cursor.findHeader(OLD_KEY)) {
      return this.#keyChange.find(cursor, this.#changes, this.#cursor);
    }
    if (entry < 0) return null;
    this.#table.row(entry, this.#place);
    return this.#place.segment < 0 ? null : this.#rowAt(this.#place);
  }

  #rowAt(place: RowPlace): RecordCursor {
    return this.#block.has(place)
      ? this.#cursor.stand(this.#changes.out.bytes, this.#block.start(place))
      : this.#shop.rows.read(place, this.#cursor);
  }

  /**
   * A truncate deletes every key of a lower version. If their tombstones are too many for one call, the
   * rest is left to the next; the truncate itself goes to `.changes` with the last of them, and counts
   * as consumed only then. Doing it again from the start finds only the keys that are left.
   */
  #truncate(cursor: RecordCursor): Taken {
    const { outgoingBytesMax, counters } = this.#shop;
    const table = this.#table;
    let last = -1;
    for (; this.#sweep < table.entries; this.#sweep++) {
      if (table.segment(this.#sweep) < 0) continue;
      if (table.compare(this.#sweep, cursor.versionHigh, cursor.versionLow) <= 0) continue;
      if (last >= 0) this.#bury(last, cursor, false);
      last = this.#sweep;
      if (this.#changes.bytes + this.#latest.bytes < outgoingBytesMax) continue;
      return 'full';
    }
    // Only the last of all says that the truncate is done: a restart before it must begin again.
    if (last >= 0) this.#bury(last, cursor, true);
    this.#sweep = 0;
    this.#truncated.raise(cursor);
    this.#changes.copy(cursor);
    counters.changes++;
    counters.truncates++;
    return 'done';
  }

  /** Makes the tombstone of a key that a truncate deletes. */
  #bury(entry: number, truncate: RecordCursor, isLast: boolean): void {
    const table = this.#table;
    table.row(entry, this.#place);
    writeTruncated(this.#latest, this.#rowAt(this.#place), { truncate, isLast });
    this.#shop.counters.latest++;
    this.#displace(entry);
    table.setVersion(entry, truncate.versionHigh, truncate.versionLow);
    table.setTombstone(entry, -1);
  }

  /** What the entry had is no longer the newest of its key. */
  #displace(entry: number): void {
    const place = this.#place;
    this.#table.row(entry, place);
    if (place.segment >= 0) {
      this.#shop.rows.release(place);
      if (this.#block.has(place)) this.#accepted.supersedeAt(this.#block.start(place));
      else this.#supersedes++;
    } else if (!this.#accepted.supersede(place.length, entry)) this.#supersedes++;
  }
}
