import { Collapse } from '../collapse.ts';
import type { Table } from '../dialect.ts';
import type { Target } from '../target.ts';
import { VERSION_MIN, type Version } from '../version.ts';
import type { DuckdbSession } from './session.ts';
import { Stage } from './stage.ts';

/** What the sink knows of a table between writes. */
export class TableState {
  readonly target: Target;
  /** Null until its first row. */
  table: Table | null = null;
  /** Columns that the source does not have any more. */
  dropped: readonly string[] = [];
  /** Newest version of the rows that last changed its columns. */
  shaped: Version = VERSION_MIN;
  /** Version of the newest truncate: what is older is gone, however late it comes. */
  truncated: Version | null = null;
  /** Nothing in the table is above this unless `highs` has the partition. */
  highStored: Version = VERSION_MIN;
  readonly highs = new Map<number, Version>();
  /** No key of the table, or that it remembers, is above this; null where its key is not one integer. */
  highestKey: number | null = null;
  readonly #stages: { whole?: Stage; partial?: Stage } = {};
  readonly #collapses: Collapse[] = [];

  constructor(target: Target) {
    this.target = target;
  }

  stage(session: DuckdbSession, table: Table, partial: boolean): Stage {
    return (this.#stages[partial ? 'partial' : 'whole'] ??= new Stage(session, table, partial));
  }

  setTable(table: Table): void {
    this.table = table;
    delete this.#stages.whole;
    delete this.#stages.partial;
  }

  /** Lets go of a batch that failed. */
  abandon(): void {
    this.#stages.whole?.abandon();
    this.#stages.partial?.abandon();
  }

  /** An empty collapse for each round of a write; they are kept for the next one. */
  collapse(round: number): Collapse {
    const collapse = (this.#collapses[round] ??= new Collapse());
    collapse.reset();
    return collapse;
  }
}
