import type { SnapshotUnit } from './snapshot-ranges.ts';
import type { OpenUnit, RangeBounds, SnapshotState } from './wal-position.ts';

/** A range that somebody reads. */
export interface Claim {
  readonly unit: SnapshotUnit;
  readonly range: RangeBounds;
}

/** A part of a unit, in the order of its bounds. What is left is cut as it is claimed. */
interface Piece {
  range: RangeBounds;
  state: 'left' | 'taken' | 'done';
}

interface Work {
  readonly unit: SnapshotUnit;
  readonly by: string;
  pieces: Piece[];
}

/** Where the next range of a unit begins that nobody reads yet, and where it must end. */
export type Gap = Claim;

/**
 * What a snapshot has read and what is left. Ranges are claimed in order and finished in any: the state
 * has the ranges between and behind the finished ones, whoever was reading them.
 */
export class SnapshotWork {
  readonly #work: readonly Work[];
  readonly #pieces = new Map<Claim, Piece>();
  #first = 0;

  /** `bounds` says what the bounds of each unit are of. */
  constructor(
    units: readonly SnapshotUnit[],
    about: { readonly state: SnapshotState; readonly bounds: ReadonlyMap<string, string> },
  ) {
    const { state, bounds } = about;
    this.#work = units.map((unit) => {
      const open = state.open.find((one) => one.unit === unit.name);
      const whole = state.done.includes(unit.name) ? [] : [left(null, null)];
      // Between two ranges that are left lies a finished one.
      const pieces = open?.left.flatMap(({ after, until }) => [done(after), left(after, until)]);
      return { unit, by: bounds.get(unit.name) ?? '', pieces: pieces ?? whole };
    });
  }

  /** The next that nobody reads; null if there is nothing left to begin. */
  get gap(): Gap | null {
    for (; this.#first < this.#work.length; this.#first++) {
      const work = this.#work[this.#first] as Work;
      const piece = work.pieces.find(({ state }) => state === 'left');
      if (piece !== undefined) return { unit: work.unit, range: piece.range };
    }
    return null;
  }

  /** Takes the gap up to `until`, which is not its end unless it is the same object. */
  claim({ unit, range: { after, until: end } }: Gap, until: readonly string[] | null): Claim {
    const { pieces } = this.#work[this.#first] as Work;
    const at = pieces.findIndex(({ state }) => state === 'left');
    const taken: Piece = { range: { after, until }, state: 'taken' };
    const rest: Piece = { range: { after: until, until: end }, state: 'left' };
    pieces.splice(at, 1, ...(until === end ? [taken] : [taken, rest]));
    const claim = { unit, range: taken.range };
    this.#pieces.set(claim, taken);
    return claim;
  }

  /** The range is published, or is in the batch that is published next. */
  finish(claim: Claim): void {
    const piece = this.#pieces.get(claim);
    const work = this.#work.find(({ unit }) => unit === claim.unit);
    if (piece === undefined || work === undefined) throw new Error('a range is finished once');
    piece.state = 'done';
    this.#pieces.delete(claim);
    const { pieces } = work;
    const isMore = ({ state }: Piece, at: number): boolean =>
      state === 'done' && pieces[at - 1]?.state === 'done';
    work.pieces = pieces.filter((each, at) => !isMore(each, at));
  }

  isDone(unit: SnapshotUnit): boolean {
    return this.#work.every((work) => work.unit !== unit || leftOf(work).length === 0);
  }

  /** Names of the finished units, and of the others those that are begun. */
  get state(): Pick<SnapshotState, 'done' | 'open'> {
    const done: string[] = [];
    const open: OpenUnit[] = [];
    for (const work of this.#work) {
      const left = leftOf(work);
      if (left.length === 0) done.push(work.unit.name);
      else if (work.pieces.some(({ state }) => state === 'done')) {
        open.push({ unit: work.unit.name, left, by: work.by });
      }
    }
    return { done, open };
  }
}

function left(after: RangeBounds['after'], until: RangeBounds['until']): Piece {
  return { range: { after, until }, state: 'left' };
}

function done(until: RangeBounds['until']): Piece {
  return { range: { after: null, until }, state: 'done' };
}

/** Neighbours that are not done become one range: where they were cut says nothing. */
function leftOf({ pieces }: Work): RangeBounds[] {
  const found: RangeBounds[] = [];
  let begun: RangeBounds | null = null;
  for (const { range, state } of pieces) {
    const joined: RangeBounds | null = begun;
    if (joined !== null && state !== 'done') found.pop();
    begun = state === 'done' ? null : { after: (joined ?? range).after, until: range.until };
    if (begun !== null) found.push(begun);
  }
  return found;
}
