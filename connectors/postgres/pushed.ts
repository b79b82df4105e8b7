/** What a stream's encoder has done. */
export const PUSHED = {
  consumed: 0,
  /** `relation` is to be looked up and defined; then the next message follows. */
  needsTable: 1,
  /** The transaction is complete; its end is `endLsn`. */
  committed: 2,
  /** An update lacks values of a row that has moved: look them up and give it to its `answer`. */
  needsRow: 3,
} as const;
export type Pushed = (typeof PUSHED)[keyof typeof PUSHED];
