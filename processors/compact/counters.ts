/** What the compact stage has done since it was made. `in` is the sum of what became of each record. */
export interface CompactCounters {
  /** Records taken in. */
  in: number;
  /** Records written to `.changes`. */
  changes: number;
  /** Records written to `.latest`. */
  latest: number;
  /** Dropped: their version is at or below the newest of their key, or of a truncate. */
  stale: number;
  /** Dropped: tombstones of the raw topic. */
  tombstones: number;
  /** Dropped: logical messages, which are no change of a row. */
  ignored: number;
  /** Records whose missing columns were all known. */
  madeWhole: number;
  /** Records that still list columns that nobody knows. */
  stillPartial: number;
  truncates: number;
}

export function newCounters(): CompactCounters {
  return {
    in: 0,
    changes: 0,
    latest: 0,
    stale: 0,
    tombstones: 0,
    ignored: 0,
    madeWhole: 0,
    stillPartial: 0,
    truncates: 0,
  };
}
