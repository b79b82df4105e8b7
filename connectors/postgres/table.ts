/** A type as the catalogue has it, resolved as far as encoding needs. */
export interface PgType {
  readonly oid: number;
  /** `pg_attribute.atttypmod`; -1 for none. */
  readonly modifier: number;
  /** As `format_type` prints it, for messages: `numeric(12,2)`. */
  readonly name: string;
  /** For an enum its labels in order; for others null. */
  readonly labels: readonly string[] | null;
  /** For an array the type of its elements; for others null. */
  readonly element: PgType | null;
  /** For an array column, how many dimensions it was declared with, where that is known. */
  readonly dimensions?: number;
  /** For a range that is not built in, what it is a range of. */
  readonly range?: PgType;
  /** For such a multirange, its range. */
  readonly multirange?: PgType;
  /** For a composite type, the types of its columns. */
  readonly fields?: readonly PgType[];
}

/** What is done to the values of a column before they are written. */
export type ColumnRule =
  | { readonly kind: 'exclude' }
  | { readonly kind: 'mask' }
  | { readonly kind: 'hash'; readonly key: string }
  | { readonly kind: 'truncate'; readonly characters: number };

export interface PgColumn {
  readonly name: string;
  readonly type: PgType;
  readonly optional: boolean;
  /** Its default as the catalogue prints it: `'x'::text`. */
  readonly default?: string | null;
  /** An identity column, whose values the server counts. */
  readonly identity?: boolean;
  /** What is done to its values before they are written. */
  readonly rule?: ColumnRule;
}

/** What an update or delete says of the old row. */
export type ReplicaIdentity = 'default' | 'full' | 'index' | 'nothing';

export interface PgTable {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** In `attnum` order, dropped ones left out, as pgoutput sends them. */
  readonly columns: readonly PgColumn[];
  /** Columns of the primary key in key order; empty if there is none. */
  readonly key: readonly string[];
  readonly identity: ReplicaIdentity;
  /** Columns of the replica identity, where it is known: old rows have these (all, if it is full). */
  readonly identityColumns?: readonly string[];
}

/** Whether old rows of a table tell its primary key. */
export function tellsKey({ identity, identityColumns, key }: PgTable): boolean {
  if (identity === 'index') {
    return identityColumns !== undefined && key.every((name) => identityColumns.includes(name));
  }
  return identity !== 'nothing';
}
