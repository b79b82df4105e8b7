import { LETTER } from './pgoutput.ts';
import type { StreamMessage } from './stream-message.ts';
import { int32At } from './types/type-codec.ts';

/**
 * Where a table without a key was copied: its rows are those that a snapshot of the server saw. So what the
 * transactions of that snapshot did to it has been published with the rows, and is left out of the
 * stream; what others did follows. Kept in the position until the stream is past all of the first.
 */
export interface TableCut {
  readonly oid: number;
  /** `pg_current_snapshot()` when the rows were read. */
  readonly seen: string;
  /** Every transaction that it saw commits before this LSN, in hex. */
  readonly until: string;
}

interface ActiveCut {
  readonly cut: TableCut;
  readonly until: bigint;
  readonly sees: (xid: number) => boolean;
  /** The transaction that is being decoded was seen. */
  excluded: boolean;
  /** Rows are still being read: what follows them waits. */
  reading: boolean;
}

/** The cuts of a stream, asked at every begin of a transaction. Most streams have none. */
export class StreamCuts {
  #active: ActiveCut[];
  readonly #changed: (oid: number) => void;

  /** `changed` is told of a table whose changes are to be left out from now on, or no longer. */
  constructor(cuts: readonly TableCut[], changed: (oid: number) => void) {
    this.#active = cuts.map((cut) => activate(cut));
    this.#changed = changed;
  }

  get none(): boolean {
    return this.#active.length === 0;
  }

  /**
   * A copy begins. Everything that is decoded by now is in the snapshot, and so is the transaction in
   * whose middle the stream may stand.
   */
  add(cut: TableCut): void {
    this.#active = this.#active.filter((each) => each.cut.oid !== cut.oid);
    this.#active.push({ ...activate(cut), excluded: true, reading: true });
    this.#changed(cut.oid);
  }

  /** All rows are published, or no more of them will be. */
  read(oid: number): void {
    for (const each of this.#active) if (each.cut.oid === oid) each.reading = false;
  }

  /** Forgets what the stream is past, when everything before `lsn` is delivered. */
  pass(lsn: bigint): void {
    const passed = this.#active.filter(({ until, reading }) => until <= lsn && !reading);
    this.#active = this.#active.filter((each) => !passed.includes(each));
    for (const { cut } of passed) this.#changed(cut.oid);
  }

  begins(xid: number, commitLsn: bigint): void {
    for (const each of this.#active) {
      const excluded = commitLsn < each.until && each.sees(xid);
      if (excluded === each.excluded) continue;
      each.excluded = excluded;
      this.#changed(each.cut.oid);
    }
  }

  excludes(oid: number): boolean {
    return this.#active.some(({ cut, excluded }) => excluded && cut.oid === oid);
  }

  /** Whether it is a change that has to wait for the rows before it. A table is not truncated meanwhile: its reader has locked it. */
  delays({ bytes, start }: StreamMessage): boolean {
    const letter = bytes[start];
    if (letter !== LETTER.insert && letter !== LETTER.update && letter !== LETTER.delete) {
      return false;
    }
    const oid = int32At(bytes, start + 1) >>> 0;
    return this.#active.some((each) => each.reading && !each.excluded && each.cut.oid === oid);
  }
}

function activate(cut: TableCut): ActiveCut {
  const sees = visibleIn(cut.seen);
  return { cut, until: BigInt(`0x${cut.until}`), sees, excluded: false, reading: false };
}

const EPOCH = 0x1_0000_0000n;

/**
 * Whether a snapshot sees a transaction, by the 32 bits of its id that the stream tells. `seen` is
 * `xmin:xmax:xip,…` (PostgreSQL, "Transaction ID and Snapshot Information Functions").
 */
export function visibleIn(seen: string): (xid: number) => boolean {
  const [xmin = '', xmax = '', running = ''] = seen.split(':');
  const [from, to] = [BigInt(xmin), BigInt(xmax)];
  const inProgress = new Set(running === '' ? [] : running.split(',').map(BigInt));
  return (xid) => {
    let full = to - (to % EPOCH) + BigInt(xid >>> 0);
    if (full - to > EPOCH / 2n) full -= EPOCH;
    else if (to - full > EPOCH / 2n) full += EPOCH;
    return full < from || (full < to && !inProgress.has(full));
  };
}
