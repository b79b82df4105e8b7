/** How far the snapshot is, told after every batch. */
export interface SnapshotProgress {
  readonly rows: number;
  /** From the server's statistics: an estimate, and never below `rows`. */
  readonly rowsEstimated: number;
  readonly rowsPerSecond: number;
  /** Seconds; null while the rate is not known. */
  readonly remainingSeconds: number | null;
  readonly tables: readonly TableProgress[];
}

export interface TableProgress {
  readonly table: string;
  readonly rows: number;
  readonly rowsEstimated: number;
  readonly done: boolean;
}

/** Counts rows per table and works out rate and remaining time from the start of this run. */
export class ProgressMeter {
  readonly #tables = new Map<string, { rows: number; rowsEstimated: number; done: boolean }>();
  readonly #startedAt: number;
  readonly #now: () => number;
  #rows = 0;

  constructor(
    tables: readonly { readonly table: string; readonly rowsEstimated: number }[],
    now: () => number = () => performance.now(),
  ) {
    for (const { table, rowsEstimated } of tables) {
      this.#tables.set(table, { rows: 0, rowsEstimated, done: false });
    }
    this.#now = now;
    this.#startedAt = now();
  }

  add(table: string, rows: number): void {
    const counted = this.#tables.get(table);
    if (counted === undefined) return;
    counted.rows += rows;
    counted.rowsEstimated = Math.max(counted.rowsEstimated, counted.rows);
    this.#rows += rows;
  }

  finish(table: string): void {
    const counted = this.#tables.get(table);
    if (counted === undefined) return;
    counted.done = true;
    counted.rowsEstimated = counted.rows;
  }

  progress(): SnapshotProgress {
    const tables = [...this.#tables].map(([table, counted]) => ({ table, ...counted }));
    const rowsEstimated = tables.reduce((sum, table) => sum + table.rowsEstimated, 0);
    const seconds = (this.#now() - this.#startedAt) / 1_000;
    const rowsPerSecond = seconds > 0 ? this.#rows / seconds : 0;
    const remaining = rowsEstimated - this.#rows;
    return {
      rows: this.#rows,
      rowsEstimated,
      rowsPerSecond,
      remainingSeconds: rowsPerSecond > 0 ? remaining / rowsPerSecond : null,
      tables,
    };
  }
}
